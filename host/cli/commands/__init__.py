"""The sub-commands of `codegen`: each parses its options, calls the stages and prints the outcome."""
