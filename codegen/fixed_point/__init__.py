"""From a model to integers: formats, quantisation, overflow bounds, layout of the state."""
