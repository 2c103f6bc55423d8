"""Recordings and cameras streamed through a device."""
