"""Decoders of camera words in the emitted C: equal to the host's readers, for any cut."""

from __future__ import annotations

import json
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import cffi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feast_codegen.codegen.base.errors import FeastError
from feast_codegen.codegen.base.events import EVENT_DTYPE, Events
from feast_codegen.codegen.emit.compiled_library import build_native, compile_library
from feast_codegen.codegen.emit.plan import make_plan
from feast_codegen.codegen.emit.render import MANIFEST, render
from feast_codegen.codegen.fixed_point.quantise import quantise
from feast_codegen.codegen.model.model import Sensor
from feast_codegen.codegen.model.options import INPUTS, Options, inputs
from feast_codegen.codegen.twin.network import Twin
from feast_codegen.host.recordings.open import open_source
from feast_codegen.host.recordings.readers import evt_words
from feast_codegen.host.streaming.cameras import EdvsDecoder, Genx320Decoder, are_pixel_events
from tests.conftest import data_folder
from tests.support.event_files import evt2_words, genx320_rows
from tests.support.networks import make_events, make_model

SHIM = """
#include "feast_input.h"
void edvs_start(feast_edvs_t *self, uint32_t stamp_bytes);
uint32_t sizes(uint32_t which);
uint32_t counter(const void *self, uint32_t which);
int start(void *self, uint32_t which, uint32_t stamp_bytes);
uint32_t decode(void *self, uint32_t which, const uint8_t *bytes, uint32_t count, feast_event_t *events);
uint32_t room(uint32_t which, uint32_t bytes);
uint32_t sizes(uint32_t which)
{
    return which == 0u ? sizeof(feast_evt2_t) : which == 1u ? sizeof(feast_rows_t) : sizeof(feast_edvs_t);
}
uint32_t room(uint32_t which, uint32_t bytes)
{
    return which == 0u ? FEAST_EVT2_EVENTS(bytes)
                       : which == 1u ? FEAST_ROWS_EVENTS(bytes) : FEAST_EDVS_EVENTS(bytes);
}
int start(void *self, uint32_t which, uint32_t stamp_bytes)
{
    if (which == 0u) {
        feast_evt2_init(self);
    } else if (which == 1u) {
        feast_rows_init(self);
    } else {
        return feast_edvs_init(self, stamp_bytes);
    }
    return 1;
}
uint32_t decode(void *self, uint32_t which, const uint8_t *bytes, uint32_t count, feast_event_t *events)
{
    return which == 0u ? feast_evt2_decode(self, bytes, count, events)
                       : which == 1u ? feast_rows_decode(self, bytes, count, events)
                                     : feast_edvs_decode(self, bytes, count, events);
}
uint32_t counter(const void *self, uint32_t which)
{
    return which == 0u ? ((const feast_evt2_t *)self)->malformed
                       : which == 1u ? ((const feast_rows_t *)self)->malformed
                                     : which == 2u ? ((const feast_edvs_t *)self)->malformed
                                                   : ((const feast_evt2_t *)self)->untimed;
}
"""
CDEF = """
uint32_t sizes(uint32_t which);
uint32_t counter(const void *self, uint32_t which);
int start(void *self, uint32_t which, uint32_t stamp_bytes);
uint32_t decode(void *self, uint32_t which, const uint8_t *bytes, uint32_t count, void *events);
uint32_t room(uint32_t which, uint32_t bytes);
"""
EVT2, ROWS, EDVS, UNTIMED = range(4)
ALL = Options(input=INPUTS)


def emitted(options: Options) -> dict[str, str]:
    return render(make_plan(quantise(make_model(Sensor(8, 6), radius=1, features=3))[0], None, options))


@pytest.fixture(scope="module", autouse=True)
def library(tmp_path_factory: pytest.TempPathFactory) -> None:
    compiled(str(tmp_path_factory.mktemp("input")))


@cache
def compiled(folder: str = "") -> tuple[cffi.FFI, Any]:
    ffi = cffi.FFI()
    ffi.cdef(CDEF)
    files = emitted(ALL) | {"src/shim.c": SHIM}
    flags = ("-fsanitize=undefined", "-fno-sanitize-recover=all")
    Loaded.ffi, Loaded.lib = ffi, ffi.dlopen(str(compile_library(files, Path(folder), "-O1", flags)))
    return ffi, Loaded.lib


class Loaded:
    """The compiled decoders."""

    ffi: cffi.FFI
    lib: Any


class Decoder:
    """A decoder of the emitted C; its memory is dirty before the start."""

    def __init__(self, which: int, stamp_bytes: int = 2) -> None:
        self._which = which
        self._memory = Loaded.ffi.new("uint64_t[]", [0xA5A5A5A5A5A5A5A5] * -(-Loaded.lib.sizes(which) // 8))
        self.known = bool(Loaded.lib.start(self._memory, which, stamp_bytes))

    def feed(self, data: bytes, shift: int = 0) -> Events:
        """The events that end in `data`, which lies `shift` bytes behind an aligned address."""
        room = Loaded.lib.room(self._which, len(data))
        events = np.zeros(room + 1, EVENT_DTYPE)
        guard = events.tobytes()[-EVENT_DTYPE.itemsize :]
        memory = Loaded.ffi.from_buffer(bytearray(bytes(shift) + data))
        to = Loaded.ffi.cast("void *", events.ctypes.data)
        given = Loaded.lib.decode(self._memory, self._which, memory + shift, len(data), to)
        assert given <= room and events.tobytes()[-EVENT_DTYPE.itemsize :] == guard
        return events[:given]

    def in_pieces(self, data: bytes, cuts: list[int]) -> Events:
        edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
        return np.concatenate([self.feed(data[a:b], i % 4) for i, (a, b) in enumerate(pairwise(edges))])

    @property
    def malformed(self) -> int:
        return int(Loaded.lib.counter(self._memory, self._which))

    @property
    def untimed(self) -> int:
        return int(Loaded.lib.counter(self._memory, UNTIMED))


def same(got: Events, wanted: Events) -> None:
    for name in EVENT_DTYPE.names or ():
        np.testing.assert_array_equal(got[name], wanted[name])


def host_evt2(words: np.ndarray[Any, Any]) -> tuple[Events, int, int]:
    state = evt_words.new_state()
    columns = (np.empty(words.size, np.int64), *(np.empty(words.size, np.uint16) for _ in range(3)))
    count = evt_words.decode_evt2(words, state, columns)
    events = np.zeros(count, EVENT_DTYPE)
    for name, column in zip(("t_us", "x", "y", "polarity"), columns, strict=True):
        events[name] = column[:count]
    return events, int(state[evt_words.UNKNOWN]), int(state[evt_words.UNTIMED])


def host_rows(rows: np.ndarray[Any, Any]) -> tuple[Events, int]:
    good = are_pixel_events(rows)
    return Genx320Decoder().decode(rows[good]), int((~good).sum())


CUTS = st.lists(st.integers(0, 10_000), max_size=6)
HIGHS = st.one_of(st.integers(0, 2**28 - 1), st.sampled_from([0, 1, 2**27 - 1, 2**27, 2**27 + 1, 2**28 - 1]))
WORDS = st.lists(
    st.one_of(st.integers(0, 2**29 - 1), HIGHS.map(lambda high: 8 << 28 | high), st.integers(0, 2**32 - 1)),
    max_size=60,
)
EDGES = [0, 1, 2**15 - 1, 2**15, 2**15 + 1, 2**16 - 1]
SECONDS = st.one_of(st.integers(0, 2**16 - 1), st.sampled_from(EDGES))
PART = st.one_of(st.integers(0, 999), st.sampled_from([999, 1000, 2**16 - 1]))
PIXEL = st.integers(0, 319)
ROW = st.tuples(st.sampled_from([0, 1, 0, 1, 2, 2**16 - 1]), SECONDS, PART, PART, PIXEL, PIXEL)


@settings(max_examples=300, deadline=None)
@given(words=WORDS, rest=st.binary(max_size=3), cuts=CUTS)
def test_any_evt2_words_in_any_pieces(words: list[int], rest: bytes, cuts: list[int]) -> None:
    data = np.array(words, "<u4")
    events, malformed, untimed = host_evt2(data)
    decoder = Decoder(EVT2)
    same(decoder.in_pieces(data.tobytes() + rest, cuts), events)
    assert (decoder.malformed, decoder.untimed) == (malformed, untimed)


@settings(max_examples=300, deadline=None)
@given(rows=st.lists(ROW, max_size=30), rest=st.binary(max_size=11), cuts=CUTS)
def test_any_rows_in_any_pieces(rows: list[tuple[int, ...]], rest: bytes, cuts: list[int]) -> None:
    data = np.array(rows, "<u2").reshape(-1, 6)
    events, malformed = host_rows(data)
    decoder = Decoder(ROWS)
    same(decoder.in_pieces(data.tobytes() + rest, cuts), events)
    assert decoder.malformed == malformed


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200), mode=st.sampled_from([2, 3, 4]), cuts=CUTS)
def test_any_edvs_bytes_in_any_pieces(data: bytes, mode: Any, cuts: list[int]) -> None:
    host, decoder = EdvsDecoder(mode), Decoder(EDVS, mode)
    same(decoder.in_pieces(data, cuts), host.feed(data))
    assert decoder.known and decoder.malformed == host.dropped


@pytest.mark.parametrize("stamp_bytes", [0, 1, 5, 2**32 - 1])
def test_an_unknown_format_of_edvs_is_said_and_taken_as_e2(stamp_bytes: int) -> None:
    decoder, data = Decoder(EDVS, stamp_bytes), bytes([0x85, 0x89, 0x01, 0x02, 7, 0x80, 1, 1, 3])
    assert not decoder.known
    same(decoder.feed(data), EdvsDecoder(2).feed(data))


def test_a_row_by_hand() -> None:
    """Seconds that wrap; a trigger between them says nothing about the time."""
    rows = np.array([[1, 65_535, 999, 999, 319, 0], [4, 3, 0, 0, 0, 0], [0, 0, 0, 1, 0, 319]], "<u2")
    decoder = Decoder(ROWS)
    events = decoder.feed(rows.tobytes())
    assert events["t_us"].tolist() == [65_535_999_999, 65_536_000_001]
    assert events["polarity"].tolist() == [1, 0] and decoder.malformed == 1


def test_a_time_word_by_hand() -> None:
    """The time wraps when its upper bits fall by more than half of their range, not at half."""
    top = 2**28 - 1
    words = [5 << 22, 8 << 28 | top, 63 << 22 | 3 << 11 | 4, 8 << 28 | top - 2**27, 1 << 28, 8 << 28, 1]
    words += [8 << 28 | top, 8 << 28 | top - 2**27 - 1, 2, 0xE0000000, 0x20000000]
    decoder = Decoder(EVT2)
    events = decoder.feed(np.array(words, "<u4").tobytes())
    half, whole = 2**27 << 6, 2**28 << 6
    assert events["t_us"].tolist() == [whole - 1, whole - 64 - half, 0, whole + half - 128]
    assert (decoder.untimed, decoder.malformed) == (1, 1)


@pytest.mark.data
@pytest.mark.parametrize("name", ["aestream_davis.aedat4", "sepia_dvs.es"])
def test_a_real_recording_in_every_format(name: str) -> None:
    path = data_folder() / "recordings" / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    events = open_source(str(path)).load(0).events
    small = events[(events["x"] < 320) & (events["y"] < 320)][:40_000]
    cuts = [1, 5, 1001, 4002, 9_999, 77_777]
    small = small.copy()  # a file's times may count from 1970: more than a camera's words hold
    small["t_us"] -= small["t_us"][0] // 10**6 * np.uint64(10**6)
    same(Decoder(EVT2).in_pieces(np.array(evt2_words(small), "<u4").tobytes(), cuts), small)
    same(Decoder(ROWS).in_pieces(genx320_rows(small).tobytes(), cuts), small)


def test_batches_give_the_results_of_single_steps() -> None:
    quant, _ = quantise(make_model(Sensor(8, 6), radius=1, features=3))
    native, twin = build_native(render(make_plan(quant, None, Options()))), Twin(quant, Options())
    events = make_events(70_000, Sensor(8, 6))
    np.testing.assert_array_equal(native.step(events), twin.step(events))
    assert native.step(events[:0]).size == 0
    np.testing.assert_array_equal(native.snapshot(), twin.snapshot())


def test_a_library_without_decoders_has_no_trace_of_them() -> None:
    plain, decoding = emitted(Options()), emitted(Options(input=("rows",)))
    added = {"include/feast_input.h", "src/feast_rows.c"}
    assert set(decoding) - set(plain) == added and "src/feast_rows.c" in decoding["CMakeLists.txt"]
    assert "input" not in json.loads(plain[MANIFEST])["options"]
    manifest = json.loads(decoding[MANIFEST])
    assert manifest["command"] == "codegen emit MODEL --input rows"
    assert manifest["build_id"] == json.loads(plain[MANIFEST])["build_id"]
    assert manifest["flash_bytes"] > json.loads(plain[MANIFEST])["flash_bytes"]
    assert plain["src/feast.c"] == decoding["src/feast.c"]


@pytest.mark.parametrize("names", ["evt3", "", "evt2,evt2", "evt2,,rows"])
def test_unknown_decoders_are_refused(names: str) -> None:
    with pytest.raises(FeastError, match="expected some of evt2,rows,edvs, each once"):
        inputs(names)
