"""Sources of recordings: files, folders, tonic and the simulator, all named by one string.

==================================  =========================================================
``path/to/00002.bin``               one recording, without a label; formats: recordings.readers
``folder/…``                        recordings, class folders, splits of them: recordings.folders
``tonic:NMNIST?save_to=DIR``        unpacked in DIR, else through tonic; ``&train=false``: the test split
``sim:digits?seed=0&count=200``     simulated, labelled with the digit
``sim:bars?seed=0&count=200``       simulated, labelled with the orientation
``sim:planes?seed=0&count=200``     simulated on 304x240 pixels, labelled with the silhouette
==================================  =========================================================

tonic is GPL-3.0-only; it is imported here alone, and only when a ``tonic:`` source is opened.
"""

from __future__ import annotations

import contextlib
import os
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import numpy as np

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.file_choice import FileChoice
from feast_codegen.host.recordings.file_source import file_source
from feast_codegen.host.recordings.folders import SPLITS, find_split, list_folder
from feast_codegen.host.recordings.groups import AUTO, grouped
from feast_codegen.host.recordings.label_tables import SUFFIX
from feast_codegen.host.recordings.labelling import gesture_labelled, labelled, trial_splits
from feast_codegen.host.recordings.reading import LeftOut, Reading
from feast_codegen.host.recordings.segments import split_every
from feast_codegen.host.recordings.simulate import SCENES
from feast_codegen.host.recordings.source import Source, training_order

__all__ = ["Source", "open_source", "training_order"]

_TONIC_SENSORS: Final = {"NMNIST": Sensor(34, 34), "DVSGesture": Sensor(128, 128)}


def open_source(
    spec: str, sensor: Sensor | None = None, skip_bad_events: bool = False, *, reading: Reading = Reading()
) -> Source:
    """Open the source called `spec` (see the module's table).

    `sensor` is for formats that do not carry it; like `skip_bad_events` it goes before what
    `reading` says. Raises FeastError for an unknown scheme or option,
    a path that is not there, a folder without recordings, a file that is empty or truncated.
    """
    reading = replace(
        reading,
        sensor=sensor or reading.sensor,
        skip_bad_events=skip_bad_events or reading.skip_bad_events,
    )
    sensor = reading.sensor
    scheme, colon, rest = spec.partition(":")
    if colon and scheme in _SCHEMES:
        name, _, query = rest.partition("?")
        if reading.files or reading.exclude or reading.labels:
            raise FeastError(f"{spec}: --files, --exclude and --labels are for files and folders")
        source = _arranged(_SCHEMES[scheme](spec, name, _parse_options(spec, query)), reading)
        if sensor not in (None, source.sensor):
            raise FeastError(f"{spec}: has a {source.sensor} sensor, not {sensor}")
    elif colon and len(scheme) > 1 and "/" not in scheme and not Path(spec).exists():
        raise FeastError(
            f"{spec}: unknown scheme {scheme!r}; known: {', '.join(sorted(_SCHEMES))}, or a path"
        )
    else:
        try:
            source = _open_path(Path(spec), reading)
        except OSError as error:
            raise FeastError(f"{error.filename or spec}: cannot read: {error.strerror}") from None
    return source


# Files and folders


def _open_path(path: Path, reading: Reading) -> Source:
    full = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links to other names
    left_out = LeftOut()
    if path.is_file():
        if reading.files or reading.exclude:
            raise FeastError(f"{path}: is one file; --files and --exclude choose among the files of a folder")
        name = path.name
        one = file_source(full.name, path.parent, [name], [name], [None], reading, left_out)
        return _arranged(one, reading)
    if not path.is_dir():
        raise FeastError(f"{path}: no such file or folder")
    table = os.path.relpath(reading.labels, path).replace(os.sep, "/") if reading.labels else ""
    choice = FileChoice(left_out, reading.files, reading.exclude, table)
    listing = list_folder(path, choice)
    is_split = full.name.lower() in SPLITS
    name = f"{full.parent.name}/{full.name.lower()}" if is_split else full.name
    files = file_source(name, path, listing.paths, listing.names, listing.labels, reading, left_out)
    source = _arranged(files, reading, choice)
    if not listing.splits:
        return replace(source, splits=trial_splits(source, path) if reading.labels or choice.tables else {})
    return replace(source, splits={split: _part(source, name, split) for split in listing.splits})


def _part(source: Source, name: str, split: str) -> Source:
    """The recordings of one split, named without it."""
    prefix = f"{split}/"
    part = source.pick([index for index, each in enumerate(source.names) if each.startswith(prefix)])
    spec = f"{name}/{split}{source.spec[len(name) :]}"
    return replace(part, spec=spec, names=tuple(each[len(prefix) :] for each in part.names))


def _arranged(source: Source, reading: Reading, choice: FileChoice | None = None) -> Source:
    """`source` with groups, labels and segments as `reading` says, or as the files beside it do."""
    tolerance = reading.tolerance
    source = replace(grouped(source, reading.groups), tolerance=tolerance)
    if tolerance.on_clock_reset == "split":
        source = source.split_at_resets()
    before = source
    if reading.labels:
        source = labelled(source, Path(reading.labels))
    elif choice and choice.tables[f"*{SUFFIX}"]:
        source = gesture_labelled(source)
    if choice and source is before:
        choice.leave_tables()
    if reading.split_every_ms is not None:
        source = split_every(source, reading.split_every_ms)
    return replace(source, spec=source.spec + _said(reading))


def _said(reading: Reading) -> str:
    """What of the reading changes which recordings there are, for the name of the source."""
    said = [
        *(f"files {pattern}" for pattern in reading.files),
        *(f"without {pattern}" for pattern in reading.exclude),
        *([f"labels {_digest(Path(reading.labels))}"] if reading.labels else []),
        *([f"pieces of {reading.split_every_ms} ms"] if reading.split_every_ms is not None else []),
        *([f"groups {reading.groups}"] if reading.groups != AUTO else []),
    ]
    return f" ({', '.join(said)})" if said else ""


def _digest(path: Path) -> str:
    return f"{path.name} {zlib.crc32(path.read_bytes()):08x}"


# Schemes


def _parse_options(spec: str, query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise FeastError(f"{spec}: expected options as name=value&name=value after the '?'") from None
    if len({name for name, _ in pairs}) < len(pairs):
        raise FeastError(f"{spec}: an option is given twice")
    return dict(pairs)


def _check_options(spec: str, options: Mapping[str, str], allowed: Sequence[str]) -> None:
    for name in options:
        if name not in allowed:
            raise FeastError(f"{spec}: unknown option {name!r}; allowed: {', '.join(allowed)}")


def _whole_number(spec: str, options: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = options.get(name, str(default))
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise FeastError(f"{spec}: {name}={text!r}: expected a whole number from {low} to {high}")
    return int(text)


def _open_simulated(spec: str, name: str, options: Mapping[str, str]) -> Source:
    if name not in SCENES:
        raise FeastError(f"{spec}: unknown scene {name!r}; known: {', '.join(sorted(SCENES))}")
    scene = SCENES[name]
    _check_options(spec, options, ("seed", "count"))
    seed = _whole_number(spec, options, "seed", 0, 0, 2**32 - 1)
    count = _whole_number(spec, options, "count", 200, 1, 1_000_000)
    return Source(
        spec=f"sim:{name}?seed={seed}&count={count}",
        sensor=scene.camera.sensor,
        names=tuple(f"{name}-{seed}-{index}" for index in range(count)),
        labels=tuple(scene.label(index) for index in range(count)),
        read=lambda index: scene.record(seed, index),
        where=lambda index: f"sim:{name}?seed={seed} recording {index}",
    )


def _open_tonic(spec: str, name: str, options: Mapping[str, str]) -> Source:
    if name not in _TONIC_SENSORS:
        raise FeastError(f"{spec}: unknown tonic dataset {name!r}; supported: {', '.join(_TONIC_SENSORS)}")
    _check_options(spec, options, ("save_to", "train"))
    if not options.get("save_to"):
        raise FeastError(f"{spec}: say where tonic keeps its data, e.g. tonic:{name}?save_to=data")
    train = options.get("train", "true").lower()
    if train not in ("true", "false"):
        raise FeastError(f"{spec}: train={options['train']!r}: expected true or false")
    public, sensor = f"tonic:{name}?train={train}", _TONIC_SENSORS[name]
    unpacked = _unpacked(Path(options["save_to"]), "train" if train == "true" else "test")
    if name == "NMNIST" and unpacked:
        left_out = LeftOut()
        found = list_folder(unpacked, FileChoice(left_out))
        return file_source(
            public, unpacked, found.paths, found.names, found.labels, Reading(sensor), left_out
        )
    dataset = _load_tonic(spec, name, options["save_to"], train == "true")
    paths = [Path(path) for path in dataset.data]
    return Source(
        spec=public,
        sensor=sensor,
        names=tuple(f"{path.parent.name}/{path.name}" for path in paths),
        labels=tuple(int(label) for label in dataset.targets),
        read=lambda index: _from_tonic(dataset[index][0]),
        where=lambda index: str(paths[index]),
    )


def _unpacked(folder: Path, split: str) -> Path | None:
    """N-MNIST as tonic unpacks it, read without tonic: it would ask for all 70,000 files and its archives."""
    for root in (folder / "NMNIST", folder):
        part = find_split(root, split)
        if part is not None and any((root / part).glob("*/*.bin")):
            return root / part
    return None


def _load_tonic(spec: str, name: str, save_to: str, train: bool) -> Any:
    try:
        import tonic
    except ImportError as error:
        raise FeastError(f"{spec}: tonic cannot be imported ({error}); pip install tonic") from None
    try:
        with contextlib.redirect_stdout(sys.stderr):  # it announces its downloads
            dataset = getattr(tonic.datasets, name)(save_to=save_to, train=train)
    except (OSError, RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FeastError(f"{spec}: tonic could not provide the data: {reason}") from None
    if len(dataset) == 0:
        raise FeastError(f"{spec}: tonic found no recordings in {save_to}")
    return dataset


def _from_tonic(raw: Any) -> Events:
    """tonic's structured int64 fields x, y, t, p as EVENT_DTYPE."""
    events = np.zeros(len(raw), EVENT_DTYPE)
    for ours, theirs in (("t_us", "t"), ("x", "x"), ("y", "y"), ("polarity", "p")):
        events[ours] = raw[theirs]
    return events


_SCHEMES: Final[Mapping[str, Callable[[str, str, Mapping[str, str]], Source]]] = {
    "sim": _open_simulated,
    "tonic": _open_tonic,
}
