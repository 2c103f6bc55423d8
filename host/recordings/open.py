"""Sources of recordings: files, folders, tonic and the simulator, all named by one string.

==================================  =========================================================
``path/to/00002.bin``               one recording, without a label; formats: recordings.readers
``folder/<digit>/*``                a labelled set in the layout of N-MNIST
``folder/{train,test}/<digit>/…``   the same with splits; the folder itself is all of them
``folder/*.bin``                    recordings without labels
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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import numpy as np

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.host.recordings.readers import SUFFIXES, open_recording
from feast_codegen.host.recordings.reading import LeftOut, Reading
from feast_codegen.host.recordings.simulate import SCENES
from feast_codegen.host.recordings.source import Source, training_order

__all__ = ["Source", "open_source", "training_order"]

SPLITS: Final = ("train", "test")
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
        source = _SCHEMES[scheme](spec, name, _parse_options(spec, query))
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
            raise FeastError(f"{spec}: cannot read: {error.strerror}") from None
    return _skipping(source) if reading.skip_bad_events else source


def _skipping(source: Source) -> Source:
    splits = {name: _skipping(part) for name, part in source.splits.items()}
    return replace(source, skip_bad_events=True, splits=splits)


# Files and folders

Recordings = dict[Path, tuple[str, int | None]]
"""Files of one folder in order, each with its name and label."""


def _open_path(path: Path, reading: Reading) -> Source:
    full = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links to other names
    if path.is_file():
        return _files(full.name, reading, {path: (path.name, None)})
    if not path.is_dir():
        raise FeastError(f"{path}: no such file or folder")
    parts = {name: each for name in SPLITS if (each := _subfolder(path, name)) is not None}
    if parts:
        return _open_splits(full.name, reading, {name: _recordings(part) for name, part in parts.items()})
    is_split = full.name.lower() in SPLITS
    name = f"{full.parent.name}/{full.name.lower()}" if is_split else full.name
    return _files(name, reading, _recordings(path))


def _open_splits(name: str, reading: Reading, parts: Mapping[str, Recordings]) -> Source:
    """All recordings of a folder with splits; a recording of the whole is named with its split."""
    every = {
        path: (f"{split}/{recording}", label)
        for split, part in parts.items()
        for path, (recording, label) in part.items()
    }
    splits = {split: _files(f"{name}/{split}", reading, part) for split, part in parts.items()}
    return replace(_files(name, reading, every), splits=splits)


def _files(spec: str, reading: Reading, recordings: Recordings) -> Source:
    """Source over files of one sensor size, each with its name and label.

    Opens them all, so a foreign or truncated one is refused before any is read.
    """
    left_out = LeftOut()
    paths = tuple(recordings)
    sizes = [
        open_recording(path, reading=reading, left_out=left_out).sensor or Sensor(1, 1) for path in paths
    ]
    for path, size in zip(paths, sizes, strict=True):
        if size != sizes[0]:
            raise FeastError(f"{path}: has a {size} sensor, but {paths[0]} has {sizes[0]}")
    return Source(
        spec=spec,
        left_out=left_out,
        sensor=sizes[0],
        names=tuple(name for name, _ in recordings.values()),
        labels=tuple(label for _, label in recordings.values()),
        read=lambda index: open_recording(paths[index], reading=reading, left_out=left_out).read(),
        where=lambda index: str(paths[index]),
        read_chunks=lambda index: open_recording(paths[index], reading=reading, left_out=left_out).chunks(),
    )


def _event_files(folder: Path) -> list[Path]:
    """Recordings of a folder, sorted; a text file is one only if it is called .csv."""
    wanted = set(SUFFIXES) - {".txt"}
    return sorted(each for each in folder.iterdir() if each.suffix.lower() in wanted and each.is_file())


def _subfolder(folder: Path, name: str) -> Path | None:
    """The folder `name` or `Name` (tonic's spelling) inside `folder`."""
    return next((folder / each for each in (name, name.capitalize()) if (folder / each).is_dir()), None)


def _recordings(folder: Path) -> Recordings:
    """Files of one folder, sorted, with their names and labels."""
    loose = _event_files(folder)
    if loose:
        return {path: (path.name, None) for path in loose}
    found: Recordings = {}
    classes = [each for each in folder.iterdir() if each.is_dir() and _event_files(each)]
    for each in sorted(classes, key=lambda each: (len(each.name), each.name)):
        if not (each.name.isascii() and each.name.isdigit()):
            raise FeastError(f"{each}: the folder of a class is named by its number, e.g. {folder / '0'}")
        found |= {path: (f"{each.name}/{path.name}", int(each.name)) for path in _event_files(each)}
    if not found:
        raise FeastError(
            f"{folder}: no recordings; expected event files, <digit>/* or <train|test>/<digit>/*"
        )
    return found


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
        return _files(public, Reading(sensor), unpacked)
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


def _unpacked(folder: Path, split: str) -> Recordings:
    """N-MNIST as tonic unpacks it, read without tonic: it would ask for all 70,000 files and its archives."""
    for root in (folder / "NMNIST", folder):
        part = _subfolder(root, split)
        if part is not None and any(part.glob("*/*.bin")):
            return _recordings(part)
    return {}


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
