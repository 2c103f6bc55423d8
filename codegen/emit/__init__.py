"""From integers to C: plan, budgets, rendering, writing, and compiling for this computer."""
