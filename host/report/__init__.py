"""One HTML page about a network."""
