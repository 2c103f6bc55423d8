# ruff: noqa: E501
"""Mistakes that somebody might make in the emitted C, by kind: what of them `codegen verify` alone finds.

Each is one change of the text that a network is emitted as; `TEXTS` says where it is made. Unlike the mutants of
mutation.py, which change one operator each, these change what the code means: a lost carry, a count of fewer
bits, a reset that forgets something, a check left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Mistake:
    """`old` becomes `new` in a file of the library emitted for `network` (semantic_bench.py).

    ``kind``: what it is about. ``at``: which of several places, from 0. ``equivalent``: why no call
    can tell. ``unnoticed``: what the stress stream would need.
    """

    kind: str
    network: str
    file: str
    old: str
    new: str
    at: int = 0
    equivalent: str = ""
    unnoticed: str = ""

    def __str__(self) -> str:
        return f"{self.kind}, {self.network}, {self.file}: {self.old!r} -> {self.new!r}"

    def applied(self, files: dict[str, str]) -> dict[str, str]:
        """The files with the mistake in them; raises ValueError where its text is not found."""
        text = files.get(self.file, "")
        # The formatter breaks lines where names are long: any white space stands for any other.
        pattern = r"\s+".join(re.escape(part) for part in re.split(r"\s+", self.old))
        places = list(re.finditer(pattern, text))
        if len(places) <= self.at:
            raise ValueError(f"{self}: not found")
        start, end = places[self.at].span()
        return files | {self.file: text[:start] + self.new + text[end:]}


JOINT, STEP, LEARN = "src/feast.c", "src/feast_layer1_step.h", "src/feast_layer1_learn.c"
STATE, INTERNAL, KERNEL = (f"src/feast_layer1_{name}" for name in ("state.c", "internal.h", "kernel.h"))
STEP2 = "src/feast_layer2_step.h"
FILTER, FILTER_HEADER, READOUT = "src/feast_filter.c", "src/feast_filter.h", "src/feast_readout.c"


def _all(kind: str, network: str, file: str, *changes: tuple[str, str]) -> tuple[Mistake, ...]:
    return tuple(Mistake(kind, network, file, old, new) for old, new in changes)


MISTAKES: Final[tuple[Mistake, ...]] = (
    *_all(
        "bounds of the sensor",
        "separate",
        JOINT,
        ("event->x >= FEAST_CAMERA_WIDTH", "event->x > FEAST_CAMERA_WIDTH"),
        ("event->y >= FEAST_CAMERA_HEIGHT", "event->y > FEAST_CAMERA_HEIGHT"),
        ("event->x >= FEAST_CAMERA_WIDTH", "(uint8_t)event->x >= FEAST_CAMERA_WIDTH"),
        ("event->x >= FEAST_CAMERA_WIDTH", "(self->layer1.started && event->x >= FEAST_CAMERA_WIDTH)"),
    ),
    *_all(
        "border",
        "signed",
        STEP,
        (
            "x + FEAST_LAYER1_RADIUS >= FEAST_LAYER1_SENSOR_WIDTH",
            "x + FEAST_LAYER1_RADIUS > FEAST_LAYER1_SENSOR_WIDTH",
        ),
        ("x < FEAST_LAYER1_RADIUS ||", "x <= FEAST_LAYER1_RADIUS ||"),
        ("rows < FEAST_LAYER1_ROWS ||", "rows < FEAST_LAYER1_ROWS - 1u ||"),
        ("rows < FEAST_LAYER1_ROWS || x <", "x <"),
        ("self->border++", "self->misses++"),
        ("self->border++", "feast_layer1_count_compared(self, true)"),
        ("self->border++", "self->border = (uint16_t)(self->border + 1u)"),
    ),
    *_all(
        "border",
        "separate",
        STEP,
        ("below < FEAST_LAYER1_RADIUS ? FEAST_LAYER1_RADIUS - below : 0u", "0u"),
        ("top * FEAST_LAYER1_CHANNELS, rows", "0u, rows"),
        (
            "y < FEAST_LAYER1_RADIUS ? FEAST_LAYER1_RADIUS - y : 0u",
            "y < FEAST_LAYER1_RADIUS ? FEAST_LAYER1_RADIUS - 1u : 0u",
        ),
    ),
    *_all(
        "time",
        "separate",
        STEP,
        ("t_us < self->t_us", "t_us <= self->t_us"),
        ("t_us < self->t_us", "(int64_t)t_us < (int64_t)self->t_us"),
        ("t_us < self->t_us", "(uint32_t)t_us < (uint32_t)self->t_us"),
        ("(uint32_t)elapsed_us << 8", "(uint32_t)elapsed_us << 7"),
        ("elapsed_us < ((uint64_t)1 << 23)", "elapsed_us < ((uint64_t)1 << 25)"),
        ("elapsed_us < ((uint64_t)1 << 23)", "elapsed_us < ((uint64_t)1 << 24)"),
        ("elapsed_us < ((uint64_t)1 << 23)", "(uint32_t)elapsed_us < ((uint64_t)1 << 23)"),
        ("octave += octaves;", "octave++;"),
        (
            "self->phase = position % FEAST_LAYER1_OCTAVE_Q8;",
            "self->phase = position - FEAST_LAYER1_OCTAVE_Q8;",
        ),
        ("self->phase = position % FEAST_LAYER1_OCTAVE_Q8;", "self->phase = 0;"),
        ("position < FEAST_LAYER1_OCTAVE_Q8", "position <= FEAST_LAYER1_OCTAVE_Q8"),
        ("<< 8) + self->phase", "<< 8)"),
        ("<< 8) + position / FEAST_LAYER1_OCTAVE_Q8", "<< 8)"),
        (
            "octave += ((elapsed_us / FEAST_LAYER1_OCTAVE_Q8) << 8) + position / FEAST_LAYER1_OCTAVE_Q8;",
            "octave += ((elapsed_us << 8) + self->phase) / FEAST_LAYER1_OCTAVE_Q8;",
        ),
        ("self->phase = (uint32_t)(position % FEAST_LAYER1_OCTAVE_Q8);", ""),
        (
            "feast_layer1_advance(self, t_us - self->t_us)",
            "feast_layer1_advance(self, (uint32_t)(t_us - self->t_us))",
        ),
        ("self->t_us = t_us;", "self->t_us = (uint32_t)t_us;"),
        ("self->t_us = t_us;", "self->t_us = t_us & 0xFFFFFFFFFFFFFFull;"),
    ),
    *_all(
        "time",
        "separate",
        JOINT,
        ("self->backwards++;", "self->backwards++; self->layer1.t_us = event->t_us;"),
        ("self->outside++;", "self->outside++; self->layer1.t_us = event->t_us;"),
        ("self->outside++;", "self->outside++; self->layer1.started = true;"),
    ),
    *_all(
        "time",
        "slow",
        STEP,
        (
            "((elapsed_us % FEAST_LAYER1_OCTAVE_Q8) << 8)",
            "(uint32_t)((elapsed_us % FEAST_LAYER1_OCTAVE_Q8) << 8)",
        ),
    ),
    *_all(
        "mantissa",
        "separate",
        STEP,
        ("* FEAST_LAYER1_FRACTION_FACTOR) >> 32]", "* FEAST_LAYER1_FRACTION_FACTOR + 0x80000000u) >> 32]"),
        ("* FEAST_LAYER1_FRACTION_FACTOR) >> 32]", "* (FEAST_LAYER1_FRACTION_FACTOR - 9u)) >> 32]"),
        (
            "((uint64_t)phase * FEAST_LAYER1_FRACTION_FACTOR) >> 32",
            "(((uint64_t)phase * FEAST_LAYER1_FRACTION_FACTOR) >> 32) & 0xFEu",
        ),
        (
            "((uint64_t)phase * FEAST_LAYER1_FRACTION_FACTOR) >> 32",
            "(phase * (FEAST_LAYER1_FRACTION_FACTOR >> 8)) >> 24",
        ),
    ),
    *_all(
        "ages of rows",
        "separate",
        STEP,
        ("self->row_octave[row] = now;", ""),
        ("now - self->row_octave[row]);", "1u);"),
        ("octaves < FEAST_LAYER1_DEAD_OCTAVES", "octaves < 8u"),
        ("octaves < FEAST_LAYER1_DEAD_OCTAVES", "octaves < 64u"),
        ("octaves < FEAST_LAYER1_DEAD_OCTAVES", "(octaves & 31u) < FEAST_LAYER1_DEAD_OCTAVES"),
        ("const uint32_t now = (uint32_t)self->octave;", "const uint32_t now = (uint16_t)self->octave;"),
        ("const uint32_t now = (uint32_t)self->octave;", "const uint32_t now = (uint8_t)self->octave;"),
        (
            "feast_layer1_age_rows(self, first_row, rows);",
            "feast_layer1_age_rows(self, first_row, rows - 1u);",
        ),
        (
            "feast_layer1_age_rows(self, first_row, rows);",
            "feast_layer1_age_rows(self, first_row + 1u, rows - 1u);",
        ),
        ("feast_layer1_age_rows(self, first_row, rows);", "feast_layer1_age_rows(self, surface_row, 1u);"),
    ),
    *_all("ages of rows", "separate", KERNEL, ("(0x7FFFu >> octaves) * 0x10001u", "0xFFFFFFFFu >> octaves")),
    *_all(
        "ages of rows",
        "signed",
        INTERNAL,
        ("value < 0 ? -feast_layer1_asr(-value, octaves)", "value < 0 ? feast_layer1_asr(value, octaves)"),
    ),
    *_all(
        "ages of rows",
        "separate",
        STATE,
        ("age < FEAST_LAYER1_DEAD_OCTAVES ? age : FEAST_LAYER1_DEAD_OCTAVES", "age & 15u"),
        ("age < FEAST_LAYER1_DEAD_OCTAVES ? age : FEAST_LAYER1_DEAD_OCTAVES", "age & 31u"),
        ("(uint32_t)self->octave - self->row_octave[row]", "0u"),
    ),
    *_all(
        "epochs",
        "separate",
        STEP,
        ("(octave >> 32) != (self->octave >> 32)", "(octave >> 33) != (self->octave >> 33)"),
        ("(octave >> 32) != (self->octave >> 32)", "(octave >> 40) != (self->octave >> 40)"),
        ("octave - (epoch | self->row_octave[row])", "octave - self->row_octave[row]"),
        ("self->row_octave[row] = (uint32_t)octave;", ""),
        ("age < FEAST_LAYER1_DEAD_OCTAVES ? (uint32_t)age : FEAST_LAYER1_DEAD_OCTAVES", "(uint32_t)age"),
        (
            "age < FEAST_LAYER1_DEAD_OCTAVES ? (uint32_t)age : FEAST_LAYER1_DEAD_OCTAVES",
            "FEAST_LAYER1_DEAD_OCTAVES",
        ),
        ("row < FEAST_LAYER1_SURFACES * FEAST_LAYER1_SENSOR_HEIGHT", "row < FEAST_LAYER1_SENSOR_HEIGHT"),
    ),
    *_all(
        "reset",
        "separate",
        STEP,
        ("self->started = false;", ""),
        ("self->t_us = 0;", ""),
        ("self->octave = 0;", ""),
        ("self->phase = 0;", ""),
        ("(void)memset(self->surface, 0, sizeof self->surface);", ""),
        (
            "(void)memset(self->surface, 0, sizeof self->surface);",
            "(void)memset(self->surface, 0, sizeof self->surface / FEAST_LAYER1_BANKS);",
        ),
        ("self->started = false;", "self->started = false; self->window_events = 0;"),
    ),
    *_all(
        "reset",
        "separate",
        JOINT,
        ("(void)memset(self, 0, sizeof *self);", ""),
        ("feast_readout_reset(&self->readout);", ""),
    ),
    *_all(
        "polarity",
        "separate",
        STEP,
        ("(input != 0u)", "(input == 1u)"),
        ("(input != 0u)", "((input & 1u) != 0u)"),
        ("(input != 0u)", "((input & 127u) != 0u)"),
        ("bank * FEAST_LAYER1_SENSOR_HEIGHT + y", "y"),
    ),
    *_all(
        "polarity",
        "signed",
        STEP,
        ("input != 0u ? value", "input == 1u ? value"),
        ("input != 0u ? value", "(int8_t)input > 0 ? value"),
        ("(int16_t)-value", "value"),
    ),
    *_all(
        "selection",
        "separate",
        STEP,
        ("if (dot > winner.dot)", "if (dot >= winner.dot)"),
        ("{ FEAST_LAYER1_NONE, INT32_MIN }", "{ 0u, 0 }"),
        (
            "const uint32_t feature = bank * FEAST_LAYER1_FEATURES_PER_BANK + place;",
            "const uint32_t feature = place;",
        ),
        (
            "feast_layer1_weights_of(self) + bank * FEAST_LAYER1_BLOCKS * FEAST_LAYER1_BLOCK_WORDS",
            "feast_layer1_weights_of(self)",
        ),
        ("dots[0] > winner.dot && feast_layer1_in_range", "dots[0] >= winner.dot && feast_layer1_in_range"),
        ("dots[1] > winner.dot && feast_layer1_in_range", "dots[1] >= winner.dot && feast_layer1_in_range"),
        (
            "(int64_t)dot * (int64_t)scale >= (int64_t)threshold",
            "(int64_t)dot * (int64_t)scale > (int64_t)threshold",
        ),
        ("FEAST_LAYER1_WEIGHT_FRACTION + norm.k)", "FEAST_LAYER1_WEIGHT_FRACTION)"),
        ("(int64_t)threshold * (int64_t)norm.r", "(int64_t)(threshold / 32768) * (int64_t)(norm.r * 32768u)"),
        ("thresholds[feature + 1u]", "thresholds[feature]"),
        ("thresholds[feature + 0u]", "thresholds[place + 0u]"),
    ),
    Mistake(
        "selection", "separate", STEP, "{ FEAST_LAYER1_NONE, INT32_MIN }", "{ FEAST_LAYER1_NONE, -1 }", 1
    ),
    Mistake("selection", "separate", STEP, "+ bank * FEAST_LAYER1_BLOCKS * FEAST_LAYER1_BLOCK_WORDS", "", 1),
    *_all(
        "norm",
        "separate",
        STEP,
        ("value / root < root ? root - 1u : root", "root"),
        ("value / root < root ? root - 1u : root", "value / root <= root ? root - 1u : root"),
        ("    root = (root + value / root) / 2u;\n", ""),
        ("squares < ((uint32_t)1 << 30)", "squares < ((uint32_t)1 << 29)"),
        ("squares < ((uint32_t)1 << 30)", "squares < ((uint32_t)1 << 31)"),
        ("squares < ((uint32_t)1 << 30)", "squares <= ((uint32_t)1 << 30)"),
    ),
    *_all("norm", "deep", STEP2, ("squares < ((uint32_t)1 << 30)", "squares <= ((uint32_t)1 << 30)")),
    *_all(
        "counters",
        "separate",
        STEP,
        (
            "self->window_events == FEAST_LAYER1_WINDOW_EVENTS",
            "self->window_events > FEAST_LAYER1_WINDOW_EVENTS",
        ),
        ("self->window_events == FEAST_LAYER1_WINDOW_EVENTS", "self->window_events == 1000u"),
        ("self->window_misses = 0;", ""),
        (
            "self->last_window_misses = self->window_misses;",
            "self->last_window_misses = (uint8_t)self->window_misses;",
        ),
        (
            "self->wins[winner.feature]++",
            "self->wins[winner.feature] = (uint16_t)(self->wins[winner.feature] + 1u)",
        ),
        ("self->wins[winner.feature]++", "self->wins[winner.feature % FEAST_LAYER1_FEATURES_PER_BANK]++"),
    ),
    *_all(
        "counters",
        "separate",
        JOINT,
        ("self->outside++", "self->backwards++"),
        ("self->outside++", "self->outside = (uint16_t)(self->outside + 1u)"),
        ("self->backwards++", "self->backwards = (uint16_t)(self->backwards + 1u)"),
    ),
    *_all(
        "signals",
        "separate",
        JOINT,
        (
            "for (uint32_t n = 0; n < FEAST_FEATURES; n++)",
            "for (uint32_t n = 0; n < FEAST_FEATURES_PER_BANK; n++)",
        ),
        ("signals->misses = self->layer1.misses;", "signals->misses = self->layer1.window_misses;"),
        ("signals->outside = self->outside;", "signals->outside = self->backwards;"),
        ("? self->layer1.wins[feature] :", "? self->layer1.wins[feature % FEAST_FEATURES_PER_BANK] :"),
        (
            "? feast_layer1_thresholds_of(&self->layer1)[feature] :",
            "? feast_layer1_model_thresholds[feature] :",
        ),
    ),
    *_all(
        "signals",
        "separate",
        STATE,
        ("feast_layer1_part(self->octave, index", "feast_layer1_part((uint32_t)self->octave, index"),
        ("return feast_layer1_is_learning(self);", "return 1u;"),
    ),
    *_all(
        "dither",
        "separate",
        LEARN,
        ("1664525u", "1664527u"),
        ("1013904223u", "1013904225u"),
        (
            "const uint32_t for_gain = feast_layer1_lcg_next(for_decay);",
            "const uint32_t for_gain = for_decay;",
        ),
        ("self->dither = feast_layer1_lcg_next(for_gain);", "self->dither = for_gain;"),
        ("x >> (32u - bits)", "x & (((uint32_t)1 << bits) - 1u)"),
        (
            "const uint32_t dither = self->dither >> (32u - FEAST_LAYER1_LEARNING_SHIFT);",
            "const uint32_t dither = 0;",
        ),
    ),
    *_all(
        "updates of weights",
        "separate",
        LEARN,
        (
            "feast_layer1_asr(dot, 1u) * (int32_t)patch_scale",
            "feast_layer1_asr(dot * (int32_t)patch_scale, 1u)",
        ),
        ("- growth_q28 + extra_q28", "- growth_q28"),
        ("(UINT32_MAX / norm.r) << 14", "(UINT32_MAX / norm.r + 1u) << 14"),
        ("31u - FEAST_LAYER1_LEARNING_SHIFT - norm.k", "31u - FEAST_LAYER1_LEARNING_SHIFT"),
        ("self->norm2[feature] = feast_layer1_move(", "(void)feast_layer1_move("),
        ("FEAST_LAYER1_TWICE_ETA_Q32, norm2_q28", "2 * FEAST_LAYER1_ETA_Q32, norm2_q28"),
    ),
    *_all(
        "updates of weights",
        "separate",
        KERNEL,
        ("off_sensor, below, 0u", "off_sensor, 0u, 0u"),
        ("((high1 & 0xFFFF0000u) | (high0 >> 16)) & lanes", "(high1 | (high0 >> 16)) & lanes"),
    ),
    *_all(
        "saturation",
        "separate",
        LEARN,
        (
            "*threshold > FEAST_LAYER1_UNIT - FEAST_LAYER1_DELTA_I_Q30 ? FEAST_LAYER1_UNIT : *threshold + FEAST_LAYER1_DELTA_I_Q30",
            "*threshold + FEAST_LAYER1_DELTA_I_Q30",
        ),
        ("? FEAST_LAYER1_UNIT : *threshold", "? FEAST_LAYER1_UNIT - 1 : *threshold"),
        (
            "*threshold > FEAST_LAYER1_UNIT - FEAST_LAYER1_DELTA_I_Q30 ? FEAST_LAYER1_UNIT",
            "*threshold > FEAST_LAYER1_UNIT - FEAST_LAYER1_DELTA_I_Q30 ? *threshold",
        ),
        ("lowered < -FEAST_LAYER1_UNIT ? -FEAST_LAYER1_UNIT : lowered", "lowered"),
        ("lowered < -FEAST_LAYER1_UNIT ? -FEAST_LAYER1_UNIT : lowered", "lowered < 0 ? 0 : lowered"),
        (
            "lowered < -FEAST_LAYER1_UNIT ? -FEAST_LAYER1_UNIT : lowered",
            "lowered < -FEAST_LAYER1_UNIT ? thresholds[n] : lowered",
        ),
        ("n = 0; n < FEAST_LAYER1_FEATURES_PER_BANK", "n = 0; n < 1u"),
        ("&self->thresholds[bank * FEAST_LAYER1_FEATURES_PER_BANK]", "self->thresholds"),
        (
            "&self->thresholds[bank * FEAST_LAYER1_FEATURES_PER_BANK];\n"
            "    for (uint32_t n = 0; n < FEAST_LAYER1_FEATURES_PER_BANK",
            "self->thresholds;\n    (void)bank;\n    for (uint32_t n = 0; n < FEAST_LAYER1_FEATURES",
        ),
    ),
    *_all(
        "imports",
        "separate",
        LEARN,
        ("threshold < -FEAST_LAYER1_UNIT || ", ""),
        ("threshold > FEAST_LAYER1_UNIT || ", ""),
        ("threshold > FEAST_LAYER1_UNIT ||", "threshold >= FEAST_LAYER1_UNIT ||"),
        ("threshold < -FEAST_LAYER1_UNIT ||", "threshold <= -FEAST_LAYER1_UNIT ||"),
        ("norm2 < FEAST_LAYER1_NORM2_LEAST", "norm2 <= FEAST_LAYER1_NORM2_LEAST"),
        ("norm2 > FEAST_LAYER1_NORM2_MOST", "norm2 >= FEAST_LAYER1_NORM2_MOST"),
        ("norm2 < FEAST_LAYER1_NORM2_LEAST", "norm2 + 1u < FEAST_LAYER1_NORM2_LEAST"),
        (
            "|| norm2 > FEAST_LAYER1_NORM2_MOST",
            "|| norm2 > (uint64_t)FEAST_LAYER1_UNIT + FEAST_LAYER1_NORM2_MOST",
        ),
        (
            "const uint64_t norm2 = feast_layer1_squared_norm(self, n);",
            "const uint64_t norm2 = (uint32_t)feast_layer1_squared_norm(self, n);",
        ),
        (
            "n < FEAST_LAYER1_FEATURES; n++) {\n        const uint64_t norm2",
            "n < FEAST_LAYER1_FEATURES - 1u; n++) {\n        const uint64_t norm2",
        ),
        (
            "n = 0; n < FEAST_LAYER1_FEATURES; n++) {\n        const uint64_t norm2",
            "n = 1; n < FEAST_LAYER1_FEATURES; n++) {\n        const uint64_t norm2",
        ),
        (
            "            feast_layer1_learn_init(self);\n            return false;",
            "            return false;",
        ),
        (
            "            feast_layer1_learn_init(self);\n            return false;",
            "            feast_layer1_learn_init(self);\n            continue;",
        ),
        ("self->norm2[n] = (uint32_t)norm2;", ""),
        ("self->dither = (self->dither & keep) | ((uint32_t)word << shift);", "self->dither = word;"),
        ("self->dither = FEAST_LAYER1_INITIAL_DITHER;", ""),
        ("16u * feast_layer1_lane_of(i)", "0u"),
        ("(int64_t)bits - ((int64_t)UINT32_MAX + 1)", "(int64_t)bits - (int64_t)UINT32_MAX"),
        ("} else if (index < FEAST_LAYER1_AT_LEARNING) {", "} else if (index <= FEAST_LAYER1_AT_LEARNING) {"),
        ("(void)memcpy(self->thresholds, feast_layer1_model_thresholds, sizeof self->thresholds);", ""),
        ("(uint32_t)feast_layer1_squared_norm(self, n);", "(uint32_t)FEAST_LAYER1_UNIT;"),
    ),
    *_all(
        "learning switched",
        "separate",
        STEP,
        ("else if (self->learning) {", "else if (!missed) {"),
        ("if (self->learning) {\n        norm", "if (true) {\n        norm"),
        ("self->learning = true;", ""),
    ),
    *_all(
        "learning switched",
        "picky",
        STEP,
        ("self->learning && missed", "missed"),
        ("self->learning && missed", "self->learning && false"),
    ),
    *_all(
        "learning switched",
        "separate",
        JOINT,
        ("self->layer1.learning = learning;", "self->layer1.learning = true;"),
        ("self->layer1.learning = learning;", "self->layer1.learning = !self->layer1.learning;"),
    ),
    *_all(
        "filters",
        "filtered",
        FILTER,
        ("now - *stamp < FEAST_FILTER_REFRACTORY_TICKS", "now - *stamp <= FEAST_FILTER_REFRACTORY_TICKS"),
        (
            "now - stamps[i] < FEAST_FILTER_BACKGROUND_TICKS",
            "now - stamps[i] <= FEAST_FILTER_BACKGROUND_TICKS",
        ),
        ("(i != column || r != row)", "true"),
        ("(i != column || r != row)", "(i != column && r != row)"),
        ("elapsed <= FEAST_FILTER_STAMP_REACH", "elapsed <= FEAST_FILTER_STAMP_REACH + 1u"),
        ("elapsed <= FEAST_FILTER_STAMP_REACH", "elapsed <= 65535u"),
        ("elapsed <= FEAST_FILTER_STAMP_REACH", "(uint32_t)elapsed <= FEAST_FILTER_STAMP_REACH"),
        ("elapsed < 0xFFFFu ? (uint32_t)elapsed : 0xFFFFu", "(uint16_t)elapsed"),
        ("stamps[i] > ticks ? stamps[i] - ticks : 0u", "stamps[i] - ticks"),
        ("self->row_tick[row] = tick;", ""),
        ("*stamp = (uint16_t)now;", ""),
        ("pixel % 32u", "pixel % 16u"),
        (
            "        return false;\n    }\n    const uint32_t column",
            "        self->seen_us = 0;\n        return false;\n    }\n    const uint32_t column",
        ),
        ("column + 1u < FEAST_FILTER_CELL_COLUMNS ? column + 1u : column", "column"),
        ("row + 1u < FEAST_FILTER_CELL_ROWS ? row + 1u : row", "row"),
        ("row > 0u ? row - 1u : 0u", "row"),
        ("(uint32_t)event->x >> FEAST_FILTER_CELL_SHIFT", "(uint32_t)event->x >> FEAST_DOWNSAMPLE"),
        (
            "const uint64_t elapsed = tick - self->row_tick[row];",
            "const uint32_t elapsed = (uint32_t)(tick - self->row_tick[row]);",
        ),
        ("stamp > elapsed ? stamp - elapsed : 0u", "stamp - elapsed"),
        ("if (!feast_filter_is_supported(self, column, row)) {", "if (false) {"),
        ("    self->seen = false;\n", ""),
        ("(void)memset(self->stamps, 0, sizeof self->stamps);", ""),
    ),
    *_all(
        "filters",
        "filtered",
        JOINT,
        (
            "feast_filter_is_past(&self->filter, event->t_us)",
            "feast_layer1_is_past(&self->layer1, event->t_us)",
        ),
        ("event->x >= FEAST_CAMERA_WIDTH", "event->x >= FEAST_SENSOR_WIDTH << FEAST_DOWNSAMPLE"),
        ("return FEAST_FILTERED;", "self->filter.filtered--; self->outside++; return FEAST_FILTERED;"),
        ("return FEAST_FILTERED;", "self->layer1.t_us = event->t_us; return FEAST_FILTERED;"),
        ("event->x >= FEAST_CAMERA_WIDTH", "event->x >= FEAST_SENSOR_WIDTH"),
    ),
    *_all("filters", "filtered", FILTER_HEADER, ("t_us < self->seen_us", "t_us <= self->seen_us")),
    *_all(
        "class scores",
        "separate",
        READOUT,
        ("self->scored = false;", ""),
        ("(void)memset(self->scores, 0, sizeof self->scores);", ""),
        ("(cell * FEAST_FEATURES + feature)", "(cell * FEAST_FEATURES_PER_BANK + feature)"),
        ("uint32_t i = 1; i < FEAST_CLASSES", "uint32_t i = 1; i < FEAST_CLASSES - 1u"),
        ("self->scores[i] += row[i];", "self->scores[i] = (int16_t)(self->scores[i] + row[i]);"),
        ("feast_readout_column_cells[x]", "feast_readout_column_cells[x & ~1u]"),
    ),
    *_all("class scores", "separate", JOINT, ("result >= 0", "result > 0")),
    *_all(
        "two layers",
        "layers",
        JOINT,
        ("result >= 0", "result > 0"),
        ("(uint32_t)result);", "(uint32_t)(result & 1));"),
        ("if (foreign) {", "if (false) {"),
        ("self->foreign == index + 1u", "false"),
        ("        feast_layer2_learn_init(&self->layer2);\n", ""),
        ("    feast_layer1_reset(&self->layer1);\n", ""),
        ("    feast_layer2_reset(&self->layer2);\n", ""),
        ("self->layer1.border + self->layer2.border", "self->layer2.border"),
    ),
    *_all(
        "two layers",
        "layers",
        STEP2,
        ("FEAST_LAYER2_CHANNELS + input;", "FEAST_LAYER2_CHANNELS + 0u;"),
        (
            "rows = (FEAST_LAYER2_SIDE - top - bottom) * FEAST_LAYER2_CHANNELS",
            "rows = (FEAST_LAYER2_SIDE - top - bottom) * FEAST_LAYER2_CHANNELS - 1u",
        ),
    ),
    *_all(
        "8 bits",
        "narrow",
        KERNEL,
        ("place % 2u == 0u ? two.first : two.second", "place % 2u != 0u ? two.first : two.second"),
    ),
    *_all(
        "8 bits",
        "narrow",
        STEP,
        ("30u - FEAST_LAYER1_WEIGHT_FRACTION", "30u - 15u"),
        ("dots[1] > winner.dot && feast_layer1_in_range", "dots[1] > winner.dot || feast_layer1_in_range"),
    ),
    Mistake(
        "counters",
        "separate",
        STEP,
        "self->misses++",
        "self->misses = (uint16_t)(self->misses + 1u)",
        unnoticed="65,536 missed events, which thresholds that fall do not allow in a row",
    ),
    Mistake(
        "class scores",
        "separate",
        READOUT,
        "self->scores[i] > self->scores[best]",
        "self->scores[i] >= self->scores[best]",
        unnoticed="scores that are equal, which rows of a trained readout hardly make",
    ),
    Mistake(
        "class scores",
        "separate",
        JOINT,
        "? self->readout.scores[index] :",
        "? (int32_t)self->readout.scores[index] :",
        unnoticed="a score beyond 2^31, which takes 2^17 wins of the largest rows and more of others",
    ),
    # No call can tell these from the emitted code.
    Mistake(
        "time",
        "separate",
        STEP,
        "self->started && t_us < self->t_us",
        "t_us < self->t_us",
        equivalent="before the first event the time is 0, which nothing precedes",
    ),
    Mistake(
        "ages of rows",
        "separate",
        KERNEL,
        "(0x7FFFu >> octaves)",
        "(0xFFFFu >> octaves)",
        equivalent="the bit let through is the top one of a cell, which is 0",
    ),
    Mistake(
        "updates of weights",
        "separate",
        KERNEL,
        "0x0000FFFFu);",
        "0xFFFFFFFFu);",
        equivalent="the place beside has weight 0 and cell 0, and the dither alone is less than a unit",
    ),
    Mistake(
        "two layers",
        "layers",
        JOINT,
        "self->foreign = 0;\n    if (foreign)",
        "if (foreign)",
        equivalent="an import gives all words, so the one that was wrong is given again",
    ),
    Mistake(
        "reset",
        "separate",
        STEP,
        "(void)memset(self->row_octave, 0, sizeof self->row_octave);",
        "",
        equivalent="a row whose cells are 0 is the same at any age",
    ),
    Mistake(
        "saturation",
        "separate",
        LEARN,
        "*threshold > FEAST_LAYER1_UNIT - FEAST_LAYER1_DELTA_I_Q30 ?",
        "*threshold >= FEAST_LAYER1_UNIT - FEAST_LAYER1_DELTA_I_Q30 ?",
        equivalent="at the bound both answers are 1",
    ),
    Mistake(
        "time",
        "separate",
        STEP,
        "elapsed_us < ((uint64_t)1 << 23)",
        "elapsed_us <= ((uint64_t)1 << 23)",
        equivalent="2^31 and a phase below 2^31 fit 32 bits",
    ),
)
