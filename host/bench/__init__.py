"""Benchmarks: instructions on emulated boards, and events per second on this computer."""
