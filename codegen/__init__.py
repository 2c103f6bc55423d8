"""Model to C: quantiser, integer twin, plan and renderer. Imports nothing from `host`."""
