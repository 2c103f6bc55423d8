"""`python -m feast_codegen`: the command `codegen`."""

from feast_codegen.host.cli.__main__ import main

main()
