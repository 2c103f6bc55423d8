"""The link protocol, described once: messages with their fields, flags, error codes, limits and digests.

The firmware's header (feast_wire.h), the host's codec and the tables of the protocol page are all
made from this module. How fields are packed: feast_codegen.codegen.protocol.message.
"""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.limits import (
    MOST_CLASSES,
    MOST_FEATURES_PER_BANK,
    MOST_RADIUS,
    MOST_SHIFT,
    MOST_SIDE,
)
from feast_codegen.codegen.protocol.message import Code, Field, Items, Limits, Message

VERSION: Final = 5
"""Raised by any change of a layout or a meaning; host and device must hold the same number."""

CRC_BYTES: Final = 4
NARROW_FEATURES: Final = 250
"""Up to this many features a result travels as one byte: 0..249 a feature, 255..251 the codes -1..-5."""
NARROW_SIDE: Final = 256
"""Up to this side of the camera a coordinate travels as one byte."""
NO_LABEL: Final = 0xFFFF
"""In place of the index of a class: no feature has won yet, or there are no classes."""
RESULT_CODES: Final = 5
"""A result below 0 is one of the codes -1 to -5."""
MAX_EVENT_BYTES: Final = 9
"""Five bytes of time step and polarity, two of each wide coordinate."""

MOST_STATE_WORDS: Final = 1 << 24
"""Of a learned state: 32 MB, more than any board has."""
MOST_BUFFER: Final = 1 << 24
"""Of a receive buffer in bytes, and of a window of results."""
UNIT_Q30: Final = 1 << 30
"""A threshold of 1."""

QUANTITIES: Final = {
    "stream_sent": "how far the receiver of the frame has sent: events of the run, or results",
    "stream_accepted": "how far its sender must have come by then; 0 while frames are on their way",
    "last_sequence": "sequence number of the receiver's last frame",
    "asked_nonce": "nonce of the HELLO",
    "asked_version": "version of the HELLO",
    "asked_end": "READ_STATE's first + count",
    "features": "features_per_bank × banks",
    "reduced_width": "camera_width / 2^downsample, rounded up",
    "reduced_height": "camera_height / 2^downsample, rounded up",
    "camera_side": "the larger of camera_width and camera_height",
    "result_bytes": "1, or 2 with FLAG_WIDE_RESULTS",
}
"""What limits name besides the fields of HELLO_REPLY and of the message itself. Indices count modulo 2^32."""

_SENT: Final = Limits(most="stream_sent")
_LABEL: Final = Limits(below="classes", also=(NO_LABEL,))
_YES: Final = Limits(most=1)
_MEANING_OF_ACK: Final = "sequence number of the last intact frame from the host"
_ACK: Final = Field("ack", "u16", _MEANING_OF_ACK, Limits(most="last_sequence"))

COUNTERS: Final = (
    ("frames", "intact frames taken from the host"),
    ("bad_frame", "frames dropped: not COBS, or shorter than a header"),
    ("bad_crc", "frames dropped: checksum"),
    ("too_long", "frames dropped: longer than frame_bytes"),
    ("lost", "sequence numbers that never came"),
    ("repeated", "frames dropped: sequence number already seen"),
    ("out_of_order", "EVENTS dropped: not the next event"),
    ("rx_overruns", "bytes lost before they could be read"),
    ("tx_dropped", "bytes the serial port would not take"),
    ("resent", "results sent more than once"),
)
"""What the device counts in a run, in the order of the end of DONE."""

ERROR_DAMAGED: Final = Code("ERROR_DAMAGED", 1, "a frame came damaged; detail: index of its counter")
ERROR_OUT_OF_ORDER: Final = Code("ERROR_OUT_OF_ORDER", 2, "EVENTS is not the next batch; detail: its `first`")
ERROR_NO_RUN: Final = Code("ERROR_NO_RUN", 16, "no such run: the device has restarted; detail: run it is in")
ERROR_VERSION: Final = Code("ERROR_VERSION", 17, "HELLO named another protocol version; detail: the device's")
ERROR_UNKNOWN: Final = Code("ERROR_UNKNOWN", 18, "unknown message; detail: its id")
ERROR_MALFORMED: Final = Code("ERROR_MALFORMED", 19, "contents do not suit the message; detail: its bytes")
ERROR_UNSUPPORTED: Final = Code("ERROR_UNSUPPORTED", 20, "not in this build; detail: id of the message")
ERROR_WINDOW: Final = Code("ERROR_WINDOW", 21, "result_window would overflow; detail: events in the frame")
ERROR_POSITION: Final = Code("ERROR_POSITION", 22, "`received` or `events` cannot be; detail: that number")
ERROR_UPLOAD: Final = Code(
    "ERROR_UPLOAD", 23, "an upload was not finished: only its rest or START_INITIALISE can follow; detail: 0"
)
ERROR_STATE: Final = Code(
    "ERROR_STATE", 24, "the uploaded state was not accepted; detail: state_id of what it holds now"
)
ERROR_PERSIST: Final = Code("ERROR_PERSIST", 25, "the memory did not take the state; detail: times persisted")
ERRORS: Final = (
    ERROR_DAMAGED,
    ERROR_OUT_OF_ORDER,
    ERROR_NO_RUN,
    ERROR_VERSION,
    ERROR_UNKNOWN,
    ERROR_MALFORMED,
    ERROR_UNSUPPORTED,
    ERROR_WINDOW,
    ERROR_POSITION,
    ERROR_UPLOAD,
    ERROR_STATE,
    ERROR_PERSIST,
)
FIRST_REFUSAL: Final = 16
"""Codes below this one are losses, which the host recovers by sending again; the others end the run."""

HELLO: Final = Message(
    "HELLO",
    0x01,
    "host",
    "Who are you? Restarts the sequence numbers of both directions. Layout frozen for all versions.",
    (
        Field("nonce", "u32", "comes back in the reply, which proves that it is no old one"),
        Field("version", "u16", "protocol version of the host"),
    ),
)
START: Final = Message(
    "START",
    0x02,
    "host",
    "Begins the run named in the header; answered by CREDIT. Said again, changes nothing.",
    (Field("flags", "u8", "START_LEARNING, START_INITIALISE"),),
)
EVENTS: Final = Message(
    "EVENTS",
    0x03,
    "host",
    "Events in order; answered by RESULTS, by ERROR if it is not the next batch.",
    (
        Field("first", "u32", "index of its first event in the run, modulo 2^32"),
        Field("base_us", "u64", "time the first step counts from, microseconds"),
    ),
    tail="events: varint(step_us << 1 | polarity), x, y; one byte a coordinate, two with WIDE_COORDINATES",
)
POLL: Final = Message(
    "POLL",
    0x04,
    "host",
    "Where are we? Answered by CREDIT, then by all results from `received` on, again.",
)
END: Final = Message(
    "END",
    0x05,
    "host",
    "All events are out and all results are in; answered by DONE, each time it is said.",
    (Field("events", "u32", "events of the run, modulo 2^32"),),
)
SIGNALS: Final = Message(
    "SIGNALS",
    0x06,
    "host",
    "Requests counters and thresholds. Answered by SIGNALS_REPLY, in as many messages as needed.",
    (Field("first", "u16", "feature to begin with"),),
)
READ_STATE: Final = Message(
    "READ_STATE",
    0x07,
    "host",
    "Requests words of the state. Answered by STATE, in as many messages as needed.",
    (
        Field("first", "u32", "index of the first word; the first state_words are the learned state"),
        Field("count", "u32", "words; first + count at most snapshot_words"),
    ),
)
WRITE_STATE: Final = Message(
    "WRITE_STATE",
    0x08,
    "host",
    "Part of a learned state to go on from, between runs; answered by CREDIT. "
    "APPLY_STATE must follow the last one.",
    (Field("first", "u32", "index of the first word; all words lie below state_words"),),
    tail="words: of 16 bits",
)
APPLY_STATE: Final = Message(
    "APPLY_STATE",
    0x09,
    "host",
    "The learned state is complete: continue from it. Answered by STATE_ID. A repetition changes nothing.",
    (Field("state_id", "u32", "CRC-32 of the learned state that was sent"),),
)
PERSIST: Final = Message(
    "PERSIST",
    0x0A,
    "host",
    "Persists the learned state over a loss of power. Answered by STATE_ID. A repetition changes nothing.",
)
COUNTERS_NOW: Final = Message(
    "COUNTERS_NOW",
    0x0B,
    "host",
    "Requests the counters of the run. Answered by COUNTERS_REPLY.",
)
SCORES: Final = Message(
    "SCORES",
    0x0C,
    "host",
    "Requests the class scores. Answered by SCORES_REPLY, in as many messages as needed.",
    (Field("first", "u16", "class to begin with"),),
)
DECIDE: Final = Message(
    "DECIDE",
    0x0D,
    "host",
    "Requests the decision of a fading readout. Answered by DECISION.",
)
HELLO_REPLY: Final = Message(
    "HELLO_REPLY",
    0x81,
    "device",
    "Identity and limits. `nonce` and `version` are frozen for all versions.",
    (
        Field("nonce", "u32", "that of the HELLO it answers", Limits("asked_nonce", "asked_nonce")),
        Field("version", "u16", "protocol version of the device", Limits("asked_version", "asked_version")),
        Field("flags", "u16", "the FLAGs below", Limits(most=0xFF)),
        Field("build_id", "id8", "geometry, options, formats, protocol"),
        Field("model_id", "id8", "first 8 bytes of the id of the model in flash: weights and all else"),
        Field("state_id", "u32", "CRC-32 of the learned state it holds now"),
        Field("state_words", "u32", "16-bit words of the learned state", Limits(1, MOST_STATE_WORDS)),
        Field(
            "snapshot_words",
            "u32",
            "16-bit words of the whole state",
            Limits("state_words", 4 * MOST_STATE_WORDS),
        ),
        Field("width", "u16", "sensor of the network, pixels", Limits("reduced_width", "reduced_width")),
        Field("height", "u16", "sensor of the network, pixels", Limits("reduced_height", "reduced_height")),
        Field("features_per_bank", "u16", "features per bank", Limits(1, MOST_FEATURES_PER_BANK)),
        Field("radius", "u8", "of the patch", Limits(1, MOST_RADIUS)),
        Field("banks", "u8", "1, or 2 with separate polarities", Limits(1, 2)),
        Field("classes", "u16", "classes of its readout; 0: it was built without", Limits(most=MOST_CLASSES)),
        Field(
            "rx_bytes",
            "u32",
            "receive buffer: bytes the host may have in flight",
            Limits(1, MOST_BUFFER),
        ),
        Field("frame_bytes", "u16", "longest frame it takes: header to CRC, before COBS", Limits(64)),
        Field("results_per_frame", "u16", "most results in one RESULTS", Limits(1, "result_window")),
        Field("result_window", "u32", "results it keeps to send again", Limits(1, MOST_BUFFER)),
        Field("clock_hz", "u32", "core clock"),
        Field("tick_hz", "u32", "rate of the tick counter", Limits(1)),
        Field("stack_bytes", "u32", "size of the stack"),
        Field("last_run", "u8", "the run it is in or was last in; a new one must differ"),
        Field("fault_kind", "u8", "why it last restarted itself; 0: it did not", Limits(most=2)),
        Field("fault_where", "u32", "program counter or source line of that fault"),
        Field("fault_status", "u32", "fault status of the core"),
        Field(
            "camera_width",
            "u16",
            "what events are given in, pixels; without filters that of the network",
            Limits(1, MOST_SIDE),
        ),
        Field("camera_height", "u16", "what events are given in, pixels", Limits(1, MOST_SIDE)),
        Field(
            "downsample",
            "u8",
            "a pixel of the network is 2^downsample of the camera wide and high",
            Limits(most=MOST_SHIFT),
        ),
    ),
)
CREDIT: Final = Message("CREDIT", 0x82, "device", "Frames up to `ack` have left the receive buffer.", (_ACK,))
RESULTS: Final = Message(
    "RESULTS",
    0x83,
    "device",
    "Results in event order, and credit.",
    (_ACK, Field("first", "u32", "index of its first result in the run, modulo 2^32", _SENT)),
    tail="results: one byte each, two (signed) with WIDE_RESULTS",
    items=Items("result_bytes", "stream_sent", "result", Limits(-RESULT_CODES, below="features")),
)
DONE: Final = Message(
    "DONE",
    0x85,
    "device",
    "What the run came to.",
    (
        _ACK,
        Field("events", "u64", "events processed", _SENT),
        Field("result_digest", "u32", "CRC-32 of all results as 16-bit words"),
        Field("snapshot_digest", "u32", "CRC-32 of the whole state after the run"),
        Field("state_id", "u32", "CRC-32 of the learned state after the run"),
        Field("label", "u16", "class with the largest score, or NO_LABEL", _LABEL),
        Field("abstains", "u8", "1: the decision of a fading readout abstains, as UNKNOWN; else 0", _YES),
        Field("ticks_total", "u64", "ticks spent in feast_step"),
        Field("ticks_max", "u32", "most ticks of one call", Limits(most="ticks_total")),
        Field("stack_used", "u32", "deepest stack use since reset, bytes"),
        *(Field(name, "u32", meaning) for name, meaning in COUNTERS),
    ),
)
SIGNALS_REPLY: Final = Message(
    "SIGNALS_REPLY",
    0x86,
    "device",
    "Counters since feast_init, modulo 2^32, and some of the features. `received` tells at which event.",
    (
        _ACK,
        Field("first", "u16", "its first feature", Limits(below="features")),
        Field("hits", "u32", "events that a feature won"),
        Field("misses", "u32", "events that none was in range of"),
        Field("border", "u32", "events without a full patch"),
        Field("outside", "u32", "events off the camera"),
        Field("backwards", "u32", "events out of order"),
        Field("window_events", "u16", "compared events in the present window of 1024", Limits(most=1024)),
        Field("window_misses", "u16", "missed events among them", Limits(most="window_events")),
        Field("last_window_misses", "u16", "missed events in the last full window", Limits(most=1024)),
        Field("filtered", "u32", "events the filters left out; 0 where there are none"),
    ),
    tail="features: threshold (i32, Q30) and wins (u32, modulo 2^32) of each",
    items=Items(8, "features", "threshold", Limits(-UNIT_Q30, UNIT_Q30)),
)
STATE: Final = Message(
    "STATE",
    0x87,
    "device",
    "Words of the state (docs/reference/numerics.md section 8). `received` tells at which event.",
    (_ACK, Field("first", "u32", "index of its first word", Limits(below="snapshot_words"))),
    tail="words: of 16 bits",
    items=Items(2, "asked_end"),
)
STATE_ID: Final = Message(
    "STATE_ID",
    0x89,
    "device",
    "What the device has learned, by name.",
    (
        _ACK,
        Field("state_id", "u32", "CRC-32 of the learned state it holds now"),
        Field("persisted", "u32", "how often a state was persisted; 0: none is"),
    ),
)
COUNTERS_REPLY: Final = Message(
    "COUNTERS_REPLY",
    0x8B,
    "device",
    "What the run has come to so far; fields as in DONE.",
    (
        _ACK,
        Field("ticks_total", "u64", "ticks spent in feast_step"),
        Field("ticks_max", "u32", "most ticks of one call", Limits(most="ticks_total")),
        Field("stack_used", "u32", "deepest stack use since reset, bytes"),
        *(Field(name, "u32", meaning) for name, meaning in COUNTERS),
    ),
)
SCORES_REPLY: Final = Message(
    "SCORES_REPLY",
    0x8C,
    "device",
    "Scores of some of the classes since the run began. `received` tells at which event.",
    (
        _ACK,
        Field("first", "u16", "its first class", Limits(below="classes")),
        Field("label", "u16", "class with the largest score of all, or NO_LABEL", _LABEL),
    ),
    tail="scores: i64 of each class",
    items=Items(8, "classes"),
)
DECISION: Final = Message(
    "DECISION",
    0x8D,
    "device",
    "What a fading readout makes of the events so far (docs/reference/numerics.md section 15). `received` "
    "tells at which event.",
    (
        _ACK,
        Field("label", "u16", "class with the largest score, or NO_LABEL", _LABEL),
        Field("margin", "u32", "how far it is ahead of the next one"),
        Field("typicality", "u16", "cosine with the nearest class mean, Q15", Limits(most=2**15 - 1)),
        Field("abstains", "u8", "1: show it as UNKNOWN", _YES),
        Field("ticks", "u32", "ticks spent in feast_classify"),
    ),
)
ERROR: Final = Message(
    "ERROR",
    0xFF,
    "device",
    "A frame was not accepted.",
    (
        Field("ack", "u16", _MEANING_OF_ACK),  # may be any: a device that has just restarted has none
        Field("code", "u8", "see the error codes", Limits(only=tuple(error.value for error in ERRORS))),
        Field("detail", "u32", "depends on the code"),
    ),
)

HELLO_REPLY_PREFIX: Final = Message(
    "HELLO_REPLY", HELLO_REPLY.code, "device", "", HELLO_REPLY.own_fields[:2], tail="fields: others"
)
"""What can be read of the HELLO_REPLY of any version."""

MESSAGES: Final = (
    *(
        HELLO,
        START,
        EVENTS,
        POLL,
        END,
        SIGNALS,
        READ_STATE,
        WRITE_STATE,
        APPLY_STATE,
        PERSIST,
        COUNTERS_NOW,
        SCORES,
        DECIDE,
    ),
    *(HELLO_REPLY, CREDIT, RESULTS, DONE, SIGNALS_REPLY, STATE, STATE_ID, COUNTERS_REPLY, SCORES_REPLY),
    DECISION,
    ERROR,
)
BY_CODE: Final = {message.code: message for message in MESSAGES}


FLAG_LEARNING: Final = Code("FLAG_LEARNING", 1, "built with learning")
FLAG_THRESHOLD: Final = Code("FLAG_THRESHOLD", 2, "frozen features must be in range of their threshold")
FLAG_WIDE_RESULTS: Final = Code("FLAG_WIDE_RESULTS", 4, "a result is two bytes")
FLAG_WIDE_COORDINATES: Final = Code("FLAG_WIDE_COORDINATES", 8, "a coordinate is two bytes")
FLAG_CLOCK_FALLBACK: Final = Code(
    "FLAG_CLOCK_FALLBACK", 16, "runs on its reset clock, for the fast one failed"
)
FLAG_PERSISTS: Final = Code("FLAG_PERSISTS", 32, "has memory to persist a learned state")
FLAG_UPLOADING: Final = Code("FLAG_UPLOADING", 64, "holds part of an upload: state_id is of no use")
FLAG_FADES: Final = Code("FLAG_FADES", 128, "its readout fades: answers DECIDE, not SCORES")
START_LEARNING: Final = Code("START_LEARNING", 1, "learn during this run; needs a build with learning")
START_INITIALISE: Final = Code(
    "START_INITIALISE", 2, "back to the model's weights and thresholds first (feast_init); else feast_reset"
)
FLAG_RULES: Final = (
    (FLAG_WIDE_RESULTS, "features", NARROW_FEATURES),
    (FLAG_WIDE_COORDINATES, "camera_side", NARROW_SIDE),
)
"""Flags of HELLO_REPLY that are set exactly if a quantity exceeds a number."""
FLAGS: Final = (
    FLAG_LEARNING,
    FLAG_THRESHOLD,
    FLAG_WIDE_RESULTS,
    FLAG_WIDE_COORDINATES,
    FLAG_CLOCK_FALLBACK,
    FLAG_PERSISTS,
    FLAG_UPLOADING,
    FLAG_FADES,
    START_LEARNING,
    START_INITIALISE,
)


def result_digest(results: npt.ArrayLike, digest: int = 0) -> int:
    """CRC-32 of results (integers in the range of int16) as little-endian 16-bit words, continuing `digest`.

    >>> hex(result_digest([3, -1, 0]))
    '0x57cbe111'
    """
    return zlib.crc32(np.ascontiguousarray(results, dtype="<i2").tobytes(), digest)


def snapshot_digest(words: npt.ArrayLike) -> int:
    """CRC-32 of state words (0 to 65535) as little-endian 16-bit words; of the learned words: `state_id`.

    >>> hex(snapshot_digest([1, 65535]))
    '0x27deaa86'
    """
    return zlib.crc32(np.ascontiguousarray(words, dtype="<u2").tobytes())
