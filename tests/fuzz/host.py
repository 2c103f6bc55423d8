"""A fuzzer for what the host reads: recordings of every format, model files.

Seeded and mutational: a small file of each kind is damaged in a few places, files of named parts (``.npz``)
also inside their parts, with the checksums of the archive made right again. Only a FeastError of one line, or
a sound result, may come out, and no warning. The libraries that decode HDF5 and AEDAT 4 end their process on
some damaged files; `host.readers.apart` makes that one line too, and it is counted here.

It runs in a process of its own, whose memory is limited; the input in hand lies in a file, so that a crash
or a hang below Python is found too.

``python -m tests.fuzz.host --runs 1000000 [--seed 1] [--kinds csv,model]`` prints a line for each kind.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from codegen.errors import FeastError
from codegen.model import Sensor
from codegen.model_file import load_model, save_model
from codegen.quantise import quantise
from codegen.records import EVENT_DTYPE
from host.readers import open_recording
from tests.fuzz.seeds import dense_events
from tests.networks import make_model, make_stack

HERE: Final = Path(__file__).resolve().parent
SENSOR: Final = Sensor(128, 96)
MEMORY_BYTES: Final = 1 << 30
"""What the process may take beyond what it holds after the seeds."""
LIMIT_S: Final = 20
"""For one input."""
MODEL: Final = ".model.npz"
ACCEPTED, EMPTY, REFUSED, ENDED = "accepted", "empty", "refused", "ended their decoder"


def check(path: Path) -> str:
    """Read a file as its name says; what became of it. What is no FeastError of one line comes out."""
    try:
        if path.name.endswith(MODEL):
            model = load_model(path)
            quantise(model)
            return ACCEPTED
        count = 0
        for events in open_recording(path, None if path.suffix in _SIZED else SENSOR).chunks():
            assert events.dtype == EVENT_DTYPE and bool((events["polarity"] <= 1).all())
            count += events.size
        return ACCEPTED if count else EMPTY
    except FeastError as error:
        text = str(error)
        assert "\n" not in text and str(path) in text, f"unclear: {text!r}"
        assert "gave no answer" not in text, f"a hang: {text!r}"
        return ENDED if ": its decoder " in text else REFUSED


_SIZED: Final = (".raw", ".dat", ".aedat", ".aedat4", ".es")


# Damage

_NUMBERS: Final = (
    *(0, 1, 2, 7, 8, 127, 128, 255, 256, 32767, 32768, 65535),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63),
)
_WORDS: Final = (
    *(b"nan", b"inf", b"-1", b"1e999", b"99999999999999999999"),
    *(b"{", b"\n", b"\0", b"''", b"<f8", b"|O", b"|V0"),
)


def damage(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """A few changes, most of them small, somewhere in the first bytes as often as anywhere."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if not out:
            break
        at = rng.randrange(min(len(out), 64) if rng.random() < 0.3 else len(out))
        kind = rng.randrange(9)
        if kind == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at] = rng.randrange(256)
        elif kind == 2:
            width = rng.choice("BHIQ")
            value = rng.choice(_NUMBERS) & (1 << 8 * struct.calcsize(width)) - 1
            packed = struct.pack(rng.choice("<>") + width, value)
            out[at : at + len(packed)] = packed
        elif kind == 3:
            del out[at : at + rng.choice((1, 2, 4, 8, 100))]
        elif kind == 4:
            out[at:at] = out[at : at + rng.choice((1, 2, 4, 8, 100))]
        elif kind == 5:
            out[at:at] = rng.choice(_WORDS)
        elif kind == 6:
            del out[at:]
        elif kind == 7:
            other = rng.choice(others)
            start = rng.randrange(len(other))
            out[at:] = other[start:]
        elif chr(out[at]).isdigit():
            out[at : at + 1] = str(rng.choice(_NUMBERS)).encode()
    return bytes(out)


def damage_part(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Damage inside one member of an archive, or to which members there are."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    which = rng.randrange(len(parts))
    name, part = parts[which]
    kind = rng.randrange(10)
    if kind == 0:
        del parts[which]
    elif kind == 1:
        parts.append((name.replace("e", "x"), part))
    elif kind == 2:
        parts[which] = (name, rng.choice(parts)[1])
    else:
        parts[which] = (name, damage(part, rng, [part for _, part in parts]))
    target = io.BytesIO()
    stored = rng.random() < 0.7
    method = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    # It warns of names that are there twice.
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(target, "w", method) as archive:
        for name, part in parts:
            archive.writestr(name, part)
    return target.getvalue()


# Seeds


def seeds(folder: Path) -> dict[str, tuple[str, bytes]]:
    """A small file of each kind: its suffix and bytes."""
    from tests.test_readers import WRITERS

    events = dense_events(80, SENSOR)
    found = {}
    for kind, (suffix, write) in WRITERS.items():
        try:
            found[kind] = (suffix, write(folder / f"seed{suffix}", events).read_bytes())
        except ImportError:
            continue  # the library that writes this kind is not installed
    model = make_model(Sensor(9, 7), neurons=2, radius=1)
    for kind, each in (("model", model), ("model of two layers", make_stack(model, radius=1, neurons=2))):
        save_model(each, folder / f"seed{MODEL}")
        found[kind] = (MODEL, (folder / f"seed{MODEL}").read_bytes())
    return found


@dataclass
class Tally:
    """What became of the inputs of a kind."""

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


def run(
    folder: Path, runs: int, seed: int, kinds: list[str] | None = None, report: Callable[[str], None] = print
) -> dict[str, Tally]:
    """Fuzz in this process; the input in hand is in `folder`. Raises what is no FeastError."""
    found = seeds(folder)
    chosen = kinds or list(found)
    warnings.simplefilter("error")  # they would stand beside the one line
    warnings.simplefilter("ignore", ResourceWarning)  # libraries leave damaged files to be closed by Python
    for suffix, data in found.values():  # compile and import what reading takes
        path = folder / f"warm{suffix}"
        path.write_bytes(data)
        assert check(path) == ACCEPTED, suffix
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, resource.RLIM_INFINITY))
    rng = random.Random(seed)
    tallies = {kind: Tally() for kind in chosen}
    for number in range(runs):
        kind = chosen[number % len(chosen)]
        suffix, data = found[kind]
        others = [other for end, other in found.values() if end == suffix]
        archive = suffix in (".npz", MODEL) and rng.random() < 0.8
        damaged = (damage_part if archive else damage)(data, rng, others)
        path = folder / f"input{suffix}"
        path.write_bytes(damaged)
        begin = time.monotonic()
        tallies[kind].outcomes[check(path)] += 1
        tallies[kind].seconds += time.monotonic() - begin
        path.unlink()
    for kind, tally in tallies.items():
        became = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(tally.outcomes.items()))
        report(f"{kind}: {tally.outcomes.total():,} inputs, {became}, {tally.seconds:.0f} s")
    return tallies


def watched(runs: int, seed: int, kinds: str = "") -> tuple[str, Path | None]:
    """Fuzz in a process of its own, killed where one input takes longer than LIMIT_S.

    Its report, and a copy of the input that it failed on, None if it did not.
    """
    with tempfile.TemporaryDirectory(prefix="feast-fuzz-", dir=_memory_folder()) as name:
        folder = Path(name)
        command = [sys.executable, "-m", "tests.fuzz.host", "--in", name, f"--runs={runs}", f"--seed={seed}"]
        process = subprocess.Popen(
            [*command, f"--kinds={kinds}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        while True:
            try:
                report, _ = process.communicate(timeout=LIMIT_S)
                break
            except subprocess.TimeoutExpired:
                if _oldest_s(folder) > LIMIT_S:
                    process.kill()
                    report = process.communicate()[0] + f"\nno end after {LIMIT_S} s"
                    break
        left = sorted(folder.glob("input*"))
        if process.returncode == 0:
            return report, None
        kept = Path(tempfile.gettempdir()) / f"feast-{seed}-{left[0].name}" if left else Path("none")
        if left:
            kept.write_bytes(left[0].read_bytes())
        return report, kept


def _oldest_s(folder: Path) -> float:
    """Seconds that the input in hand lies there."""
    with contextlib.suppress(ValueError, FileNotFoundError):  # between two inputs there is none
        return time.time() - min(path.stat().st_mtime for path in folder.glob("input*"))
    return 0.0


def _memory_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def main() -> None:
    """Fuzz. Exit 1 with the path of the input where something else than a FeastError comes out."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.host", description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", default="", help="separated by commas; all unless given")
    parser.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    kinds = [kind for kind in options.kinds.split(",") if kind]
    if options.folder is not None:
        run(options.folder, options.runs, options.seed, kinds)
        return
    begin = time.monotonic()
    report, failed = watched(options.runs, options.seed, options.kinds)
    print(report.rstrip())
    print(f"{options.runs:,} inputs in {time.monotonic() - begin:.0f} s")
    if failed is not None:
        sys.exit(f"fails on {failed}")


if __name__ == "__main__":
    main()
