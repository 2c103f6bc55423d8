"""The integer twin: the numerics page carried out in Python integers."""
