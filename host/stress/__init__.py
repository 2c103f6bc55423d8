"""The synthetic stream that verify runs beside the given one: every limit of the network, met on purpose."""
