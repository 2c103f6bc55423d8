"""The command `codegen`."""
