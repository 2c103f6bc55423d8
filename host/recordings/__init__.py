"""Events of recordings: sources, file formats, simulated cameras, hot pixels."""
