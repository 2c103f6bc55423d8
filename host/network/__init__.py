"""The float model, its training, and what it shows while it learns."""
