"""What this computer does with a board: build, emulate, flash, say what is missing."""
