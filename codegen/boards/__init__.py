"""The boards: what boards.yaml says about each, and its schema."""
