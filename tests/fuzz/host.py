"""A fuzzer for what the host reads: recordings of every format, model files.

Seeded and mutational: a small file of each kind is damaged in a few places, files of named parts (``.npz``)
also inside their parts, with the checksums of the archive made right again. Only a FeastError of one line, or
a sound result, may come out, and no warning. The libraries that decode HDF5 and AEDAT 4 end their process on
some damaged files; `recordings.readers.isolated_decoder` makes that one line too, and it is counted here.

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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.file import load_model, save_model
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.readers import open_recording
from feast_codegen.host.recordings.reading import LeftOut, Reading
from tests.fuzz.seeds import dense_events
from tests.support import event_files
from tests.support.networks import make_model, make_stack

HERE: Final = Path(__file__).resolve().parent
SENSOR: Final = Sensor(128, 96)
MEMORY_BYTES: Final = 1 << 30
"""What the process may take beyond what it holds after the seeds."""
LIMIT_S: Final = 20
"""For one input."""
MODEL: Final = ".model.npz"
ACCEPTED, EMPTY, REFUSED, ENDED = "accepted", "empty", "refused", "ended their decoder"


def check(path: Path, reading: Reading = Reading()) -> str:
    """Read a file as its name and `reading` say; what became of it.

    What is no FeastError of one line comes out.
    """
    try:
        if path.name.endswith(MODEL):
            model = load_model(path)
            quantise(model)
            return ACCEPTED
        count = 0
        left_out = LeftOut()
        for events in open_recording(path, reading=reading, left_out=left_out).chunks():
            assert events.dtype == EVENT_DTYPE and bool((events["polarity"] <= 1).all())
            count += events.size
        assert all(line.isprintable() for line in left_out.lines())
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


@dataclass(frozen=True)
class Seed:
    """A small file, and what is said of files of its kind."""

    suffix: str
    data: bytes
    reading: Reading = Reading()

    def said(self, rng: random.Random) -> Reading:
        """The same, and by chance options that change how it is read."""
        reading = replace(self.reading, accept_truncated=rng.random() < 0.5)
        if self.suffix in _TABLES and rng.random() < 0.3:
            reading = replace(reading, time_unit=rng.choice(("s", "ms", "us", "ns")))
        if self.suffix in _TABLES and rng.random() < 0.1:
            reading = replace(reading, columns=rng.choice(("txyp", "xypt", "_txyp")))
        return reading


_TABLES: Final = (".csv", ".npy", ".npz", ".h5", ".hdf5", ".mat")


def seeds(folder: Path) -> dict[str, Seed]:
    """A small file of each kind."""
    from tests.host.recordings.test_readers import WRITERS

    events = dense_events(80, SENSOR)
    found = {}
    for kind, (suffix, write) in WRITERS.items():
        reading = Reading(None if suffix in _SIZED else SENSOR)
        try:
            found[kind] = Seed(suffix, write(folder / f"seed{suffix}", events).read_bytes(), reading)
        except ImportError:
            continue  # the library that writes this kind is not installed
    found |= _options(folder, events)
    model = make_model(Sensor(9, 7), features=2, radius=1)
    for kind, each in (
        ("model", model),
        ("model of two layers", make_stack(model, radius=1, features=2)),
    ):
        save_model(each, folder / f"seed{MODEL}")
        found[kind] = Seed(MODEL, (folder / f"seed{MODEL}").read_bytes())
    return found


def _options(folder: Path, events: Events) -> dict[str, Seed]:
    """Kinds that are read as the user says, or whose parts are not merged."""
    rows = [*event_files.rows(events)]
    size = Sensor(346, 260)
    path = folder / "seed.any"
    binary = {
        "AEDAT2 v2e": event_files.write_aedat2(path, events, "any", 346, 260, named=False).read_bytes(),
        "AEDAT2 cameras": event_files.write_aedat2(
            path, events, "MultiDAVIS346BCamera", 346, 260, cameras=4
        ).read_bytes(),
        "AEDAT3.1 sources": event_files.write_aedat31(
            path,
            [event_files.aedat31_packet(events[:40], source=at) for at in (1, 2)],
            "DVS128\r\n#Source 2: DVS128",
        ).read_bytes(),
        "AEDAT4 streams": event_files.write_aedat4(path, events, SENSOR, 20, streams=2).read_bytes(),
    }
    readings = {"AEDAT2 v2e": Reading(size), "AEDAT3.1 sources": Reading(stream="2")}
    suffixes = {"AEDAT4 streams": ".aedat4"}
    found = {
        kind: Seed(suffixes.get(kind, ".aedat"), data, readings.get(kind, Reading()))
        for kind, data in binary.items()
    }
    texts = {
        "csv of words": 'x [px];"p";note;t_us;y\n'
        + "".join(f'{x};{"ON" if p else "off"};;"{t}";{y}.0\n' for t, x, y, p in rows),
        "csv of seconds": "\ufeff%geometry:128,96\n# a remark\n0,1,1,1\n"
        + "".join(f"{t / 1e6 - 0.0005:.6f},{x},{y},{p}\n" for t, x, y, p in rows),
        "csv in an order": "128 96\n" + "".join(f"{x}\t{y}\t{p + 1}\t{t * 1000}\n" for t, x, y, p in rows),
    }
    orders = {"csv in an order": Reading(SENSOR, time_unit="ns", columns="xypt")}
    found |= {
        kind: Seed(".csv", text.encode(), orders.get(kind, Reading(SENSOR))) for kind, text in texts.items()
    }
    table = np.array(rows, np.int64)
    for suffix in (".npy", ".npz"):
        with (folder / f"seed{suffix}").open("wb") as file:
            if suffix == ".npy":
                np.save(file, table)
            else:
                np.savez(file, table=table)
        data = (folder / f"seed{suffix}").read_bytes()
        found[f"{suffix} table"] = Seed(suffix, data, Reading(SENSOR, columns="txyp"))
    with contextlib.suppress(ImportError):
        import h5py

        for kind, name, columns in (("HDF5 table", "a/b", "txyp"), ("HDF5 of v2e", "events", None)):
            with h5py.File(folder / "seed.h5", "w") as h5:
                h5[name] = table
                h5[f"c/{name}"] = table
            data = (folder / "seed.h5").read_bytes()
            found[kind] = Seed(".h5", data, Reading(SENSOR, columns=columns))
        for packing in (0, 1, 2):
            chunks = [
                event_files.ecf_chunk(events[:64], packing),
                event_files.ecf_chunk(events[64:], packing),
            ]
            path = event_files.write_ecf(folder / "seed.h5", chunks, events.size, 64, SENSOR)
            found[f"HDF5 ECF {packing}"] = Seed(".h5", path.read_bytes())
    return found | _foreign_kinds(folder, events)


def _foreign_kinds(folder: Path, events: Events) -> dict[str, Seed]:
    """MATLAB files, ROS bags and packed files."""
    import gzip

    from scipy.io import savemat

    columns = {
        "x": events["x"] + 1.0,
        "y": events["y"] + 1.0,
        "p": events["polarity"] + 1.0,
        "ts": events["t_us"].astype(float),
    }
    found = {}
    for kind, version, packed in (
        ("MATLAB 4", "4", False),
        ("MATLAB 5", "5", False),
        ("MATLAB 5z", "5", True),
    ):
        tree = columns if version == "4" else {"TD": columns, "note": "plane"}
        savemat(folder / "seed.mat", tree, format=version, do_compression=packed)
        found[kind] = Seed(".mat", (folder / "seed.mat").read_bytes(), Reading(SENSOR))
    path = event_files.write_dat(folder / "seed.dat", events, SENSOR)
    found["gzip"] = Seed(".dat.gz", gzip.compress(path.read_bytes()))
    with zipfile.ZipFile(folder / "seed.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "set/a.dat")
        archive.write(path, "set/b.dat")
    found["zip"] = Seed(".zip", (folder / "seed.zip").read_bytes())
    with contextlib.suppress(ImportError):
        from tests.support.bag_files import write_bag

        for encoding, suffix in (("array", ".bag"), ("evt3", ".bag"), ("array", ".mcap"), ("mono", ".db3")):
            target = folder / f"{encoding}{suffix}"
            data = write_bag(target, {"/e": (encoding, events)}, SENSOR).read_bytes()
            found[f"ROS {encoding}{suffix}"] = Seed(suffix, data)
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
    for kind, seed_file in found.items():  # compile and import what reading takes
        path = folder / f"warm{seed_file.suffix}"
        path.write_bytes(seed_file.data)
        assert check(path, seed_file.reading) == ACCEPTED, kind
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, resource.RLIM_INFINITY))
    rng = random.Random(seed)
    tallies = {kind: Tally() for kind in chosen}
    for number in range(runs):
        kind = chosen[number % len(chosen)]
        suffix, data = found[kind].suffix, found[kind].data
        others = [other.data for other in found.values() if other.suffix == suffix]
        archive = suffix in (".npz", MODEL) and rng.random() < 0.8
        damaged = (damage_part if archive else damage)(data, rng, others)
        path = folder / f"input{suffix}"
        path.write_bytes(damaged)
        begin = time.monotonic()
        tallies[kind].outcomes[check(path, found[kind].said(rng))] += 1
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
