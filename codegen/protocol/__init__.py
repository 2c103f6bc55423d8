"""The serial protocol, described once: messages, their fields, and how they are packed."""
