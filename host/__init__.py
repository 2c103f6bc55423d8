"""Recordings, the float model, training, the link and the command line."""
