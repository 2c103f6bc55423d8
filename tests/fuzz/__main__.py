"""Fuzz for long: ``python -m tests.fuzz [TARGET ...] --runs 10000000 [--keep]``; a line for each target."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz.targets import TARGETS, build, corpus, fuzz, keep, sources


def main() -> None:
    """Fuzz targets one after another. Exit 1 with the input, in hexadecimal, if one fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all unless given"
    )
    parser.add_argument("--runs", type=int, default=10_000_000, help="executions of each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--keep", action="store_true", help="replace the kept inputs by the least that reach as much"
    )
    options = parser.parse_args()
    for target in options.targets or TARGETS:
        with tempfile.TemporaryDirectory(prefix="feast-fuzz-") as name:
            program = build(target, sources(target), Path(name), fuzz=True)
            done = fuzz(program, corpus(target), options.runs, Path(name) / "fuzz", options.seed)
        if done.crash is not None:
            sys.exit(f"{done.report[-3000:]}\n{target}: fails on {done.crash.hex()}")
        if options.keep:
            keep(target, done.corpus)
        print(
            f"{target}: {done.executions:,} executions in {done.seconds:.0f} s, {done.edges} edges, "
            f"{len(done.corpus)} inputs",
            flush=True,
        )


if __name__ == "__main__":
    main()
