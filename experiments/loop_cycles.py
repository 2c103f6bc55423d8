"""Cycles per instruction of the inner loop, by llvm-mca, where it models the core. A lower bound.

    python -m experiments.loop_cycles firmware/.pio/build/mps2_an386/firmware.elf

Needs arm-none-eabi-objdump and llvm-mca (Debian: llvm) and a firmware with the `dsp` kernel.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

TRIPLES = {
    "cortex-m4": "thumbv7em-none-eabi",
    "cortex-m7": "thumbv7em-none-eabi",
    "cortex-m33": "thumbv8m.main-none-eabi",
}


def inner_loop(elf: str) -> list[str]:
    """Instructions of the loop in feast_step that holds the first SMLAD."""
    command = ["arm-none-eabi-objdump", "-d", "--no-show-raw-insn", elf]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    body = listing.split("<feast_step>:\n")[1].split("\n\n")[0].splitlines()
    code = [(int(line.split(":")[0], 16), line.split("\t", 1)[1]) for line in body if "\t" in line]
    first = next(address for address, text in code if text.startswith("smlad"))
    for end, text in code:
        branch = re.match(r"b\w+(?:\.\w)?\t([0-9a-f]+)", text)
        if end > first and branch and int(branch[1], 16) <= first:
            start = int(branch[1], 16)
            return [re.split(r"[@;<]", text)[0] for address, text in code if start <= address < end]
    raise SystemExit(f"{elf}: no loop of SMLAD in feast_step: build for a board with the dsp kernel")


def main(elf: str) -> None:
    """Print instructions and cycles per instruction of the loop for each core."""
    mca = next((path for name in ("llvm-mca", "llvm-mca-14") if (path := shutil.which(name))), None)
    if mca is None:
        raise SystemExit("llvm-mca is not on PATH: install llvm")
    loop = inner_loop(elf)
    assembly = ".syntax unified\n.thumb\n" + "\n".join(loop) + "\n"
    for core, triple in TRIPLES.items():
        command = [mca, f"-mtriple={triple}", f"-mcpu={core}", "-iterations=100"]
        done = subprocess.run(command, input=assembly, capture_output=True, text=True, check=True)
        cycles = int(re.search(r"Total Cycles: +(\d+)", done.stdout)[1])  # type: ignore[index]
        print(f"{core}: {len(loop)} instructions, {cycles / 100 / len(loop):.2f} cycles each")


if __name__ == "__main__":
    main(*sys.argv[1:])
