"""The serial link to a device: frames, requests, runs."""
