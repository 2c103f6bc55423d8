"""The live view: a device streamed by one thread, drawn by a page in the browser."""
