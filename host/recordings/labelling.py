"""Labels from tables for the recordings of a source, which are cut into segments where a table says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.host.recordings.folders import are_numbers
from feast_codegen.host.recordings.label_tables import (
    MAPPING,
    SUFFIX,
    Row,
    is_gesture_table,
    is_mapping,
    read_mapping,
    read_names,
    read_table,
)
from feast_codegen.host.recordings.segments import Segment, cut
from feast_codegen.host.recordings.source import Source


def labelled(source: Source, table: Path) -> Source:
    """The recordings and segments that `table` labels; what it does not name is counted as left out.

    `table`: any of `label_tables`; a mapping or the table of one recording stands for DVS128 Gesture.
    Raises FeastError for a table that cannot be read or that names no recording of the source.
    """
    if is_mapping(table):
        return _with_tables_beside(source, table)
    rows = read_table(table)
    names: dict[str, str] = {}
    if rows[0].file is None:
        owner, mapping = _owner(source, table), table.with_name(MAPPING)
        rows = [replace(row, file=owner) for row in rows]
        names = read_mapping(mapping) if mapping.is_file() else {}
    return _cut(source, rows, table.name, names)


def gesture_labelled(source: Source) -> Source:
    """A source whose recordings have tables in the manner of DVS128 Gesture beside them, cut by those.

    Another is returned as it is.
    """
    tables = (_table_of(source.where(index)) for index in range(len(source)))
    first = next((table for table in tables if table.is_file() and is_gesture_table(table)), None)
    return source if first is None else _with_tables_beside(source, first.with_name(MAPPING))


def _with_tables_beside(source: Source, mapping: Path) -> Source:
    rows = []
    for index, name in enumerate(source.names):
        table = _table_of(source.where(index))
        if table.is_file():
            rows += [replace(row, file=name) for row in read_table(table)]
    if not rows:
        raise FeastError(f"{mapping}: beside no recording of {source.spec} lies its NAME{SUFFIX}")
    names = read_mapping(mapping) if mapping.is_file() else {}
    return _cut(source, rows, f"*{SUFFIX}", names)


def trial_splits(source: Source, root: Path) -> dict[str, Source]:
    """The parts of DVS128 Gesture: ``trials_to_train.txt`` and ``trials_to_test.txt`` name their recordings.

    None where there are no such lists. What neither of them names is counted as left out of the parts.
    Raises FeastError for a list that names none of the recordings.
    """
    parts: dict[str, list[int]] = {}
    for split in ("train", "test"):
        path = root / f"trials_to_{split}.txt"
        if path.is_file():
            wanted = read_names(path)
            parts[split] = [index for index in range(len(source)) if Path(source.where(index)).name in wanted]
            if not parts[split]:
                raise FeastError(f"{path}: names none of the recordings of {source.spec}")
    rest = len(source) - sum(map(len, parts.values()))
    if parts and rest:
        source.left_out.add("recordings", "in none of trials_to_train.txt and trials_to_test.txt", rest)
    return {
        name: replace(source.pick(indices), spec=f"{source.spec}/{name}") for name, indices in parts.items()
    }


def _table_of(recording: str) -> Path:
    path = Path(recording)
    return path.with_name(path.stem + SUFFIX)


def _owner(source: Source, table: Path) -> str:
    """The recording that a table without files is about."""
    stem = table.name.removesuffix(SUFFIX)
    named = [name for name in source.names if PurePosixPath(name).stem == stem]
    if len(source) == 1 or len(named) == 1:
        return named[0] if named else source.names[0]
    raise FeastError(
        f"{table}: has no column file, and {source.spec} holds {len(source)} recordings: add one, or call "
        f"the table NAME{SUFFIX} after its recording"
    )


def _cut(source: Source, rows: Sequence[Row], table: str, mapping: Mapping[str, str]) -> Source:
    names = [mapping.get(row.name, row.name) for row in rows]
    unnamed = sorted({row.name for row in rows if row.name not in mapping})
    if mapping and unnamed:
        source.left_out.say(
            f"{MAPPING} does not name the classes {', '.join(unnamed)[:100]}: they keep theirs"
        )
    numbered = are_numbers(names)
    places = _places(source.names)
    segments = []
    for row, name in zip(rows, names, strict=True):
        index = places.get(row.file or "")
        if index is None:
            continue
        segments.append(Segment(index, row.start_us, row.end_us, int(name) if numbered else name))
    missing = [row for row in rows if places.get(row.file or "") is None]
    if not segments:
        raise FeastError(
            f"{missing[0].where}: there is no recording {missing[0].file!r}, or several, in {source.spec}, "
            f"which holds {', '.join(source.names[:3])}{', ...' if len(source) > 3 else ''}"
        )
    if missing:
        source.left_out.add(
            "labels", f"of recordings that are not there, or not once, in {table}", len(missing)
        )
    unlabelled = len(source) - len({segment.recording for segment in segments})
    if unlabelled:
        source.left_out.add("recordings", f"without a label in {table}", unlabelled)
    segments.sort(
        key=lambda each: (each.recording, each.start_us, -1 if each.end_us is None else each.end_us)
    )
    if any(segment.end_us is not None for segment in segments):
        source.left_out.say(
            f"{table} cuts recordings into {len(segments)} segments; what lies outside is left out"
        )
    return cut(source, segments)


def _places(names: Sequence[str]) -> dict[str, int | None]:
    """Index of a recording by its name, and by the last part of it where that is the only one."""
    places: dict[str, int | None] = {}
    for index, name in enumerate(names):
        last = name.rpartition("/")[2]
        places[last] = None if last in places else index
    return places | {name: index for index, name in enumerate(names)}
