"""Writes event files byte by byte for the tests of the readers; each format once, in the plainest way."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.model.model import Sensor


def rows(events: Events) -> Iterator[tuple[int, int, int, int]]:
    return (tuple(int(event[name]) for name in ("t_us", "x", "y", "polarity")) for event in events)  # type: ignore[misc]


def nmnist_bin(events: Events) -> bytes:
    """N-MNIST: x, y, then the polarity above 23 bits of time, big-endian."""
    return b"".join(
        bytes([x, y]) + (polarity << 23 | t_us).to_bytes(3, "big") for t_us, x, y, polarity in rows(events)
    )


def raw_header(name: str, sensor: Sensor, extra: str = "") -> bytes:
    version = {"EVT2": "2.0", "EVT21": "2.1", "EVT3": "3.0"}[name]
    size = f"height={sensor.height};width={sensor.width}"
    return f"% evt {version}\n% format {name};{size}{extra}\n% geometry {sensor}\n% end\n".encode()


def evt2_words(events: Events) -> list[int]:
    words, high = [], None
    for t_us, x, y, polarity in rows(events):
        if t_us >> 6 != high:
            high = t_us >> 6
            words.append(8 << 28 | high & 0xFFFFFFF)
        words.append(polarity << 28 | (t_us & 0x3F) << 22 | x << 11 | y)
    return words


def evt21_words(events: Events) -> list[int]:
    """Events of one time, row, polarity and 32 pixels go into one word, in order of x."""
    words, high = [], None
    key: Any = None
    for t_us, x, y, polarity in rows(events):
        if t_us >> 6 != high:
            high, key = t_us >> 6, None
            words.append(8 << 60 | (high & 0xFFFFFFF) << 32)
        group = (t_us, x // 32, y, polarity)
        if group != key:
            key = group
            words.append(polarity << 60 | (t_us & 0x3F) << 54 | (x // 32 * 32) << 43 | y << 32)
        words[-1] |= 1 << x % 32
    return words


def evt3_words(events: Events, vectors: bool = False) -> list[int]:
    """One word each for time, y and x where they change; with `vectors`, x as a base and a mask of 12."""
    words: list[int] = []
    high = low = line = None
    for t_us, x, y, polarity in rows(events):
        if t_us >> 12 != high:
            high, low = t_us >> 12, None
            words.append(0x8000 | high & 0xFFF)
        if t_us & 0xFFF != low:
            low = t_us & 0xFFF
            words.append(0x6000 | low)
        if y != line:
            line = y
            words.append(y)
        if vectors:
            base = x // 12 * 12
            words += [0x3000 | polarity << 11 | base, 0x4000 | 1 << x - base]
        else:
            words.append(0x2000 | polarity << 11 | x)
    return words


def write_raw(path: Path, name: str, words: list[int], sensor: Sensor, extra: str = "") -> Path:
    dtype = {"EVT2": "<u4", "EVT21": "<u8", "EVT3": "<u2"}[name]
    path.write_bytes(raw_header(name, sensor, extra) + np.array(words, np.uint64).astype(dtype).tobytes())
    return path


def write_dat(path: Path, events: Events, sensor: Sensor) -> Path:
    header = (
        f"% Data file containing CD events.\n% Version 2\n% Height {sensor.height}\n% Width {sensor.width}\n"
    )
    words = [word for t, x, y, p in rows(events) for word in (t & 0xFFFFFFFF, p << 28 | y << 14 | x)]
    path.write_bytes(header.encode() + bytes([12, 8]) + np.array(words, "<u4").tobytes())
    return path


def write_aedat2(
    path: Path, events: Events, chip: str, width: int, height: int, *, cameras: int = 0, named: bool = True
) -> Path:
    """As jAER does it: x mirrored, y from the bottom; DAVIS or, with inverted polarity, DVS128 addresses.

    With `cameras`, events are dealt to that many in turn; without `named`, the header is as v2e writes it.
    """
    header = (
        f"#!AER-DAT2.0\r\n# This is a raw AE data file\r\n# AEChip: eu.seebetter.ini.chips.davis.{chip}\r\n"
    )
    words = []
    for index, (t, x, y, p) in enumerate(rows(events)):
        column, line = width - 1 - x, height - 1 - y
        address = line << 8 | column << 1 | 1 - p if chip == "DVS128" else line << 22 | column << 12 | p << 11
        words += [address | (index % cameras if cameras else 0), t & 0xFFFFFFFF]
    text = header if named else header.partition("# AEChip")[0]
    path.write_bytes(text.encode() + np.array(words, ">u4").tobytes())
    return path


def aedat31_packet(events: Events, kind: int = 1, valid: bool = True, source: int = 1) -> bytes:
    overflow = int(events["t_us"][0]) >> 31 if len(events) else 0
    head = struct.pack("<HHIIIIII", kind, source, 8, 4, overflow, len(events), len(events), len(events))
    words = [
        word for t, x, y, p in rows(events) for word in (x << 17 | y << 2 | p << 1 | valid, t & 0x7FFFFFFF)
    ]
    return head + np.array(words, "<u4").tobytes()


def write_aedat31(path: Path, packets: list[bytes], source: str = "DVS128") -> Path:
    header = f"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: {source}\r\n#!END-HEADER\r\n"
    path.write_bytes(header.encode() + b"".join(packets))
    return path


def write_aedat4(path: Path, events: Events, sensor: Sensor, packet: int = 64, streams: int = 1) -> Path:
    """Uncompressed; its header and packets are flatbuffers with a size before them.

    With several `streams` of events, packets are dealt to them in turn.
    """
    nodes = "".join(
        f'<node name="{number}" path="/{number}/">'
        '<attr key="compression" type="string">NONE</attr>'
        f'<attr key="typeIdentifier" type="string">EVTS</attr><node name="info" path="/{number}/info/">'
        f'<attr key="sizeX" type="int">{sensor.width}</attr>'
        f'<attr key="sizeY" type="int">{sensor.height}</attr>'
        "</node></node>"
        for number in range(streams)
    )
    info = f'<dv version="2.0"><node name="outInfo" path="/">{nodes}</node></dv>'.encode()
    # Where the table is, which schema; sizes and places of its fields; compression, text, no list of packets.
    head = struct.pack("<I4s6x5H", 24, b"IOHE", 10, 24, 4, 12, 8)
    head += struct.pack("<iiIq4xI", 10, 0, 16, -1, len(info)) + info + b"\0"
    data = b"#!AER-DAT4.0\r\n" + struct.pack("<I", len(head)) + head
    for number, first in enumerate(range(0, events.size, packet)):
        part = events[first : first + packet]
        body = struct.pack("<I4s2x3HiII", 16, b"EVTS", 6, 8, 4, 6, 4, part.size)
        body += b"".join(struct.pack("<qhh?3x", *row) for row in rows(part))
        data += struct.pack("<III", number % streams, len(body) + 4, len(body)) + body
    path.write_bytes(data)
    return path


def write_es(path: Path, events: Events, sensor: Sensor, atis: bool = False) -> Path:
    data, last = bytearray(), 0
    for t, x, y, p in rows(events):
        step, last = t - last, t
        if atis:
            data += b"\xff" * (step // 63 // 3) + bytes([0xFC | step // 63 % 3] if step // 63 % 3 else [])
            data.append(step % 63 << 2 | p << 1)
        else:
            data += b"\xff" * (step // 127)
            data.append(step % 127 << 1 | p)
        data += struct.pack("<HH", x, y)
    head = b"Event Stream\x02\x00\x00" + bytes([2 if atis else 1])
    path.write_bytes(head + struct.pack("<HH", sensor.width, sensor.height) + data)
    return path


def ecf_chunk(events: Events, packing: int) -> bytes:
    """One chunk of Prophesee's codec; packing 2: all of x, y, polarity; 1: x and polarity; 0: none."""
    data = bytearray(struct.pack("<IQ", events.size << 2 | packing, int(events["t_us"][0])))
    table, now = [*rows(events)], int(events["t_us"][0])

    def runs(values: list[int]) -> Iterator[tuple[int, int]]:
        for value, run in itertools.groupby(values):
            yield value, len([*run])

    for t, length in runs([row[0] for row in table]):
        step, now = t - now, t
        if step >= 15:
            while step:
                data.append(0xF0 | step & 15)
                step >>= 4
        data += bytes([step << 4 | length]) if length < 15 else struct.pack("<BH", step << 4 | 15, length)
    if packing < 2:
        for y, length in runs([row[2] for row in table]):
            data += (
                struct.pack("<H", y << 5 | length) if length < 31 else struct.pack("<HH", y << 5 | 31, length)
            )
    if packing == 0:
        for _, x, _, _ in table:
            data += struct.pack("<H", x << 5)
        for p, length in runs([row[3] for row in table]):
            data += bytes([p << 7 | length]) if length < 127 else struct.pack("<BH", p << 7 | 127, length)
        return bytes(data)
    quarter, form = (8, "<III") if packing == 2 else (4, "<HHH")
    numbers = [(y << 12 if packing == 2 else 0) | x << 1 | p for _, x, y, p in table] + [0, 0, 0]
    for at in range(0, events.size, 4):
        one, two, three, four = numbers[at : at + 4]
        data += struct.pack(
            form,
            one << quarter | two & (1 << quarter) - 1,
            two >> quarter << 2 * quarter | three & (1 << 2 * quarter) - 1,
            three >> 2 * quarter << 3 * quarter | four,
        )
    return bytes(data)


def write_ecf(path: Path, chunks: list[bytes], count: int, rows_of_chunk: int, sensor: Sensor) -> Path:
    """As Metavision writes HDF5; the chunks are put in as they are, for HDF5 need not have the codec."""
    import h5py

    kind = np.dtype({"names": ["x", "y", "p", "t"], "formats": ["<u2", "<u2", "<i2", "<i8"], "itemsize": 16})
    with h5py.File(path, "w") as file:
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_chunk((rows_of_chunk,))
        created.set_filter(36559, h5py.h5z.FLAG_OPTIONAL, ())
        space, group = h5py.h5s.create_simple((count,), (h5py.h5s.UNLIMITED,)), file.create_group("CD")
        events = h5py.h5d.create(group.id, b"events", h5py.h5t.py_create(kind), space, created)
        for number, chunk in enumerate(chunks):
            events.write_direct_chunk((number * rows_of_chunk,), chunk)
        file.attrs["geometry"] = str(sensor)
    return path


def tonic_array(events: Events) -> Any:
    """Structured as tonic does it."""
    array = np.zeros(len(events), [("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", bool)])
    for theirs, ours in (("x", "x"), ("y", "y"), ("t", "t_us"), ("p", "polarity")):
        array[theirs] = events[ours]
    return array


def genx320_rows(events: Events) -> Any:
    """uint16 (n, 6) as OpenMV reads them."""
    t = events["t_us"].astype(np.int64)
    columns = (events["polarity"], t // 10**6 % 2**16, t // 1000 % 1000, t % 1000, events["x"], events["y"])
    return np.stack([column.astype(np.uint16) for column in columns], axis=1)


def expected(events: Events) -> Events:
    """A copy with nothing but the four fields, for comparisons."""
    copy = np.zeros(len(events), EVENT_DTYPE)
    for name in EVENT_DTYPE.names or ():
        copy[name] = events[name]
    return copy
