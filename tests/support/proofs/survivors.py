# ruff: noqa: E501
"""Mutants that survive, by the reason: those that answer every call alike, and those that the scripts do not notice."""

from __future__ import annotations

from typing import Final

C_EQUIVALENT: Final[dict[str, tuple[str, ...]]] = {
    "a cell has at most 14 bits: it is 0 from 14 octaves on, whether shifted or cleared": (
        "feast_step.h: feast_age_row(&self->surface[row * FEAST_STRIDE], age < FEAST_DEAD_OCTAVES ? (uint32_t)age : «FEAST_DEAD_OCTAVES → (FEAST_DEAD_OCTAVES + 1)»);",
        "feast_step.h: feast_age_row(&self->surface[row * FEAST_STRIDE], age < FEAST_DEAD_OCTAVES ? (uint32_t)age : «FEAST_DEAD_OCTAVES → (FEAST_DEAD_OCTAVES - 1)»);",
        "feast_step.h: feast_age_row(&self->surface[row * FEAST_STRIDE], age < «FEAST_DEAD_OCTAVES → (FEAST_DEAD_OCTAVES + 1)» ? (uint32_t)age : FEAST_DEAD_OCTAVES);",
        "feast_step.h: feast_age_row(&self->surface[row * FEAST_STRIDE], age < «FEAST_DEAD_OCTAVES → (FEAST_DEAD_OCTAVES - 1)» ? (uint32_t)age : FEAST_DEAD_OCTAVES);",
        "feast_step.h: feast_age_row(&self->surface[row * FEAST_STRIDE], age «< → <=» FEAST_DEAD_OCTAVES ? (uint32_t)age : FEAST_DEAD_OCTAVES);",
        "feast_step.h: if (octaves < «FEAST_DEAD_OCTAVES → (FEAST_DEAD_OCTAVES + 1)») {",
        "feast_step.h: if (octaves < «FEAST_DEAD_OCTAVES → (FEAST_DEAD_OCTAVES - 1)») {",
        "feast_step.h: if (octaves «< → <=» FEAST_DEAD_OCTAVES) {",
        "feast_state.c: return (uint16_t)feast_halved(value, age < FEAST_DEAD_OCTAVES ? age : «FEAST_DEAD_OCTAVES → (FEAST_DEAD_OCTAVES + 1)»);",
        "feast_state.c: return (uint16_t)feast_halved(value, age < FEAST_DEAD_OCTAVES ? age : «FEAST_DEAD_OCTAVES → (FEAST_DEAD_OCTAVES - 1)»);",
        "feast_state.c: return (uint16_t)feast_halved(value, age < «FEAST_DEAD_OCTAVES → (FEAST_DEAD_OCTAVES + 1)» ? age : FEAST_DEAD_OCTAVES);",
        "feast_state.c: return (uint16_t)feast_halved(value, age < «FEAST_DEAD_OCTAVES → (FEAST_DEAD_OCTAVES - 1)» ? age : FEAST_DEAD_OCTAVES);",
        "feast_state.c: return (uint16_t)feast_halved(value, age «< → <=» FEAST_DEAD_OCTAVES ? age : FEAST_DEAD_OCTAVES);",
    ),
    "a row that never fired is cleared again by any age it is given": (
        "feast_step.h: (void)memset(self->row_octave, «0 → 1», sizeof self->row_octave);",
        "feast_filter.c: (void)memset(self->row_tick, «0 → 1», sizeof self->row_tick);",
    ),
    "at the bound both answers are 0": (
        "feast_step.h: const uint32_t bottom = below < «FEAST_RADIUS → (FEAST_RADIUS + 1)» ? FEAST_RADIUS - below : 0u;",
        "feast_step.h: const uint32_t bottom = below «< → <=» FEAST_RADIUS ? FEAST_RADIUS - below : 0u;",
        "feast_step.h: const uint32_t top = y < «FEAST_RADIUS → (FEAST_RADIUS + 1)» ? FEAST_RADIUS - y : 0u;",
        "feast_step.h: const uint32_t top = y «< → <=» FEAST_RADIUS ? FEAST_RADIUS - y : 0u;",
    ),
    "overwritten before it is read": (
        "feast_step.h: feast_norm_t norm = { 0u, «0u → 1u» }; #2",
        "feast_step.h: feast_norm_t norm = { «0u → 1u», 0u };",
        "feast_step.h: feast_norm_t norm = { «0u → 1u», 0u }; #2",
    ),
    "no product is that small (docs/reference/numerics.md section 9)": (
        "feast_step.h: feast_winner_t winner = { FEAST_NONE, «INT32_MIN → (INT32_MIN + 1)» };",
        "feast_step.h: feast_winner_t winner = { FEAST_NONE, «INT32_MIN → (INT32_MIN + 1)» }; #2",
    ),
    "rows are brought up to date more often, with the same values": (
        "feast_step.h: if ((octave >> 32) != (self->octave >> «32 → 33»)) {",
        "feast_step.h: if ((octave >> 32) != (self->octave «>> → <<» 32)) {",
        "feast_step.h: if ((octave >> 32) != (self->octave «>> → >> 1u +» 32)) {",
        "feast_step.h: if ((octave >> «32 → 31») != (self->octave >> 32)) {",
    ),
    "adding or subtracting 0": (
        "feast_step.h: if (dots[0] > winner.dot && feast_in_range(dots[0], thresholds[feature «+ → -» 0u], norm)) {",
        "feast_step.h: winner = feast_nearer(winner, dots[0], feature «+ → -» 0u);",
        "feast_step.h: winner.feature = feature «+ → -» 0u;",
    ),
    "both ways of counting octaves agree where the shorter one does not overflow": (
        "feast_step.h: if (elapsed_us < ((uint64_t)1 << «23 → 22»)) {",
        "feast_step.h: if (elapsed_us < ((uint64_t)1 «<< → >>» 23)) {",
        "feast_step.h: if (elapsed_us < ((uint64_t)«1 → 0» << 23)) {",
        "feast_step.h: if (elapsed_us «< → <=» ((uint64_t)1 << 23)) {",
    ),
    "no such place in a block of this size": (
        "feast_step.h: if (place + «3u → 4u» < FEAST_FEATURES_PER_BANK && dots[3] > winner.dot && feast_in_range(dots[3], thresholds[feature + 3u], norm)) {",
        "feast_step.h: if (place + «3u → 4u» < FEAST_FEATURES_PER_BANK) {",
        "feast_step.h: if (place + «7u → 8u» < FEAST_FEATURES_PER_BANK && dots[7] > winner.dot && feast_in_range(dots[7], thresholds[feature + 7u], norm)) {",
        "feast_step.h: if (place + «7u → 8u» < FEAST_FEATURES_PER_BANK) {",
    ),
    "the margin is 0 with border skip": (
        "feast_step.h: self->surface[surface_row * FEAST_STRIDE «+ → -» FEAST_MARGIN + x] = input != 0u ? value : (int16_t)-value;",
    ),
    "Newton's steps reach the root from there, too": (
        "feast_step.h: uint32_t root = (value >> 17) + (value >> 19) + «24000u → 23999u»;",
        "feast_step.h: uint32_t root = (value >> 17) + (value >> 19) + «24000u → 24001u»;",
        "feast_step.h: uint32_t root = (value >> 17) + (value >> «19 → 18») + 24000u;",
        "feast_step.h: uint32_t root = (value >> 17) + (value >> «19 → 20») + 24000u;",
        "feast_step.h: uint32_t root = (value >> 17) + (value «>> → >> 1u +» 19) + 24000u;",
    ),
    "a tick is 1 us for these times: the shift is 0": (
        "feast_filter.c: const uint64_t tick = self->seen_us «>> → <<» FEAST_FILTER_TICK_SHIFT;",
        "feast_filter.c: const uint64_t tick = self->seen_us «>> → <<» FEAST_FILTER_TICK_SHIFT; #2",
    ),
    "at the bound both answers are the same stamp": (
        "feast_filter.c: feast_filter_age_stamps(&self->stamps[row * FEAST_FILTER_CELL_COLUMNS], elapsed < 0xFFFFu ? (uint32_t)elapsed : «0xFFFFu → 65536u»);",
        "feast_filter.c: feast_filter_age_stamps(&self->stamps[row * FEAST_FILTER_CELL_COLUMNS], elapsed < «0xFFFFu → 65536u» ? (uint32_t)elapsed : 0xFFFFu);",
        "feast_filter.c: feast_filter_age_stamps(&self->stamps[row * FEAST_FILTER_CELL_COLUMNS], elapsed «< → <=» 0xFFFFu ? (uint32_t)elapsed : 0xFFFFu);",
        "feast_filter.c: if (elapsed «<= → <» FEAST_FILTER_STAMP_REACH) {",
        "feast_filter.c: return (uint16_t)(stamp «> → >=» elapsed ? stamp - elapsed : 0u);",
        "feast_filter.c: stamps[i] = (uint16_t)(stamps[i] «> → >=» ticks ? stamps[i] - ticks : 0u);",
    ),
    "0 halved is 0, of either sign": (
        "feast_internal.h: return value < «0 → 1» ? -feast_asr(-value, octaves) : feast_asr(value, octaves);",
        "feast_internal.h: return value «< → <=» 0 ? -feast_asr(-value, octaves) : feast_asr(value, octaves);",
    ),
    "the operand of sizeof is not evaluated": (
        "feast_kernel.h: (void)memset(cells, 0, 8u * sizeof cells[«0 → 1»]);",
    ),
    "the last pair of a row holds one weight and a zero": (
        "feast_kernel.h: cell1 = cells[«5 → 4»];",
        "feast_kernel.h: cell1 = cells[«5 → 6»];",
        "feast_kernel.h: sum0 «+= → -=» cell1 * feast_lane1(pair); #3",
        "feast_kernel.h: sum0 «+= → -=» cell1 * feast_lane1(two.first); #3",
        "feast_kernel.h: sum1 «+= → -=» cell1 * feast_lane1(pair); #3",
        "feast_kernel.h: sum1 «+= → -=» cell1 * feast_lane1(two.second); #3",
        "feast_kernel.h: sum2 «+= → -=» cell1 * feast_lane1(pair); #3",
        "feast_kernel.h: sum2 «+= → -=» cell1 * feast_lane1(two.first); #3",
        "feast_kernel.h: sum3 «+= → -=» cell1 * feast_lane1(pair); #3",
        "feast_kernel.h: sum3 «+= → -=» cell1 * feast_lane1(two.second); #3",
    ),
    "a row is halved at least once, and cells leave the upper bits free": (
        "feast_kernel.h: const uint32_t mask = (0x7FFFu «>> → >> 1u +» octaves) * 0x10001u;",
        "feast_kernel.h: const uint32_t mask = («0x7FFFu → 32766u» >> octaves) * 0x10001u;",
    ),
    "the same steps are taken": (
        "feast_kernel.h: for (uint32_t i = 0; i < «8u → 7u» * FEAST_VECTORS; i += 8u) {",
        "feast_kernel.h: for (uint32_t i = 0; i < «8u → 7u» * FEAST_VECTORS; i += 8u) { #3",
        "feast_kernel.h: for (uint32_t i = 0; i < «8u → 7u»; i += 2u) {",
        "feast_kernel.h: for (uint32_t i = rows < FEAST_ROWS ? (uint32_t)0 : 8u * (FEAST_VECTORS - 1u); i < «8u → 7u» * FEAST_VECTORS; i += 8u) {",
    ),
    "more is cleared before the same cells are copied, or the same": (
        "feast_kernel.h: for (uint32_t i = rows < FEAST_ROWS ? (uint32_t)0 : 8u * (FEAST_VECTORS - 1u); i < 8u * FEAST_VECTORS; i += «8u → 7u») {",
        "feast_kernel.h: for (uint32_t i = rows < FEAST_ROWS ? (uint32_t)0 : 8u * (FEAST_VECTORS - 1u); i < «8u → 9u» * FEAST_VECTORS; i += 8u) {",
        "feast_kernel.h: for (uint32_t i = rows < FEAST_ROWS ? (uint32_t)0 : 8u * (FEAST_VECTORS - 1u); i «< → <=» 8u * FEAST_VECTORS; i += 8u) {",
        "feast_kernel.h: for (uint32_t i = rows < FEAST_ROWS ? (uint32_t)0 : 8u * (FEAST_VECTORS - «1u → 2u»); i < 8u * FEAST_VECTORS; i += 8u) {",
        "feast_kernel.h: for (uint32_t i = rows < FEAST_ROWS ? (uint32_t)0 : 8u «* → +» (FEAST_VECTORS - 1u); i < 8u * FEAST_VECTORS; i += 8u) {",
        "feast_kernel.h: for (uint32_t i = rows < FEAST_ROWS ? (uint32_t)0 : «8u → 7u» * (FEAST_VECTORS - 1u); i < 8u * FEAST_VECTORS; i += 8u) {",
        "feast_kernel.h: for (uint32_t i = rows «< → <=» FEAST_ROWS ? (uint32_t)0 : 8u * (FEAST_VECTORS - 1u); i < 8u * FEAST_VECTORS; i += 8u) {",
    ),
    "room that is not used, or is written next": (
        "feast_kernel.h: (void)memset(cells, 0, «8u → 9u» * sizeof cells[0]);",
        "feast_kernel.h: int16_t cells[«8u → 9u» * FEAST_VECTORS];",
        "feast_kernel.h: static const int16_t off_sensor[«FEAST_SIDE → (FEAST_SIDE + 1)»] = { 0 };",
    ),
    "thresholds at that bound are refused, and a carry of 2^32 leaves 32 bits alone": (
        "feast_learn.c: *threshold = (int32_t)(bits < 0x80000000u ? (int64_t)bits : (int64_t)bits «- → +» ((int64_t)UINT32_MAX + 1));",
        "feast_learn.c: *threshold = (int32_t)(bits < «0x80000000u → 2147483647u» ? (int64_t)bits : (int64_t)bits - ((int64_t)UINT32_MAX + 1));",
        "feast_learn.c: *threshold = (int32_t)(bits < «0x80000000u → 2147483649u» ? (int64_t)bits : (int64_t)bits - ((int64_t)UINT32_MAX + 1));",
        "feast_learn.c: *threshold = (int32_t)(bits «< → <=» 0x80000000u ? (int64_t)bits : (int64_t)bits - ((int64_t)UINT32_MAX + 1));",
    ),
    "at the bound both answers are the bound": (
        "feast_learn.c: *threshold = *threshold > «FEAST_UNIT → (FEAST_UNIT - 1)» - FEAST_DELTA_I_Q30 ? FEAST_UNIT : *threshold + FEAST_DELTA_I_Q30;",
        "feast_learn.c: *threshold = *threshold «> → >=» FEAST_UNIT - FEAST_DELTA_I_Q30 ? FEAST_UNIT : *threshold + FEAST_DELTA_I_Q30;",
        "feast_learn.c: self->thresholds[n] = lowered < -«FEAST_UNIT → (FEAST_UNIT - 1)» ? -FEAST_UNIT : lowered;",
        "feast_learn.c: self->thresholds[n] = lowered «< → <=» -FEAST_UNIT ? -FEAST_UNIT : lowered;",
        "feast_simd.h: const int32_t high = lane1 > INT16_MAX ? INT16_MAX : lane1 < «INT16_MIN → (INT16_MIN + 1)» ? INT16_MIN : lane1;",
        "feast_simd.h: const int32_t high = lane1 > INT16_MAX ? INT16_MAX : lane1 «< → <=» INT16_MIN ? INT16_MIN : lane1;",
        "feast_simd.h: const int32_t high = lane1 > «INT16_MAX → (INT16_MAX - 1)» ? INT16_MAX : lane1 < INT16_MIN ? INT16_MIN : lane1;",
        "feast_simd.h: const int32_t high = lane1 «> → >=» INT16_MAX ? INT16_MAX : lane1 < INT16_MIN ? INT16_MIN : lane1;",
        "feast_simd.h: const int32_t low = lane0 > INT16_MAX ? INT16_MAX : lane0 < «INT16_MIN → (INT16_MIN + 1)» ? INT16_MIN : lane0;",
        "feast_simd.h: const int32_t low = lane0 > INT16_MAX ? INT16_MAX : lane0 «< → <=» INT16_MIN ? INT16_MIN : lane0;",
        "feast_simd.h: const int32_t low = lane0 > «INT16_MAX → (INT16_MAX - 1)» ? INT16_MAX : lane0 < INT16_MIN ? INT16_MIN : lane0;",
        "feast_simd.h: const int32_t low = lane0 «> → >=» INT16_MAX ? INT16_MAX : lane0 < INT16_MIN ? INT16_MIN : lane0;",
    ),
    "the gain stays below the bound for every eta that its shift allows": (
        "feast_learn.c: const feast_factors_t factors = { decay, gain > INT16_MAX ? «INT16_MAX → (INT16_MAX + 1)» : gain, (int32_t)dither };",
        "feast_learn.c: const feast_factors_t factors = { decay, gain > INT16_MAX ? «INT16_MAX → (INT16_MAX - 1)» : gain, (int32_t)dither };",
        "feast_learn.c: const feast_factors_t factors = { decay, gain > «INT16_MAX → (INT16_MAX + 1)» ? INT16_MAX : gain, (int32_t)dither };",
        "feast_learn.c: const feast_factors_t factors = { decay, gain > «INT16_MAX → (INT16_MAX - 1)» ? INT16_MAX : gain, (int32_t)dither };",
        "feast_learn.c: const feast_factors_t factors = { decay, gain «> → >=» INT16_MAX ? INT16_MAX : gain, (int32_t)dither };",
    ),
    "sum and difference have the same lowest bit": (
        "feast_learn.c: const uint32_t shift = FEAST_WORD_BITS * ((index «- → +» FEAST_AT_THRESHOLDS) % FEAST_WORDS_OF_32);",
    ),
    "the first class is compared with itself": (
        "feast_readout.c: for (uint32_t i = «1 → 0»; i < FEAST_CLASSES; i++) {",
    ),
    "one column or row from the edge, both answers are 0": (
        "feast_filter.c: const uint32_t left = column > «0u → 1u» ? column - 1u : 0u;",
        "feast_filter.c: const uint32_t top = row > «0u → 1u» ? row - 1u : 0u;",
    ),
}
"""Mutants of the emitted C that no call can tell from it."""

C_UNNOTICED: Final[dict[str, tuple[str, ...]]] = {
    "outside of an array or a shift by 64 and more: for the sanitizers, harmless where it lands here": (
        "feast_step.h: for (uint32_t place = 0; place «< → <=» FEAST_FEATURES_PER_BANK; place += FEAST_GROUP) { #2",
        "feast_kernel.h: feast_pair_t *at = &weights[feast_word_of(feature, «0u → 1u»)];",
        "feast_kernel.h: feast_update_t update = { &weights[feast_word_of(feature, «0u → 1u»)], 0 };",
        "feast_kernel.h: int16_t cells[«8u → 7u» * FEAST_VECTORS];",
        "feast_kernel.h: static const int16_t off_sensor[«FEAST_SIDE → (FEAST_SIDE - 1)»] = { 0 };",
        "feast_kernel.h: update = feast_move_rows(update, factors, off_sensor, below, «0u → 1u»);",
        "feast_kernel.h: update = feast_move_rows(update, factors, off_sensor, patch->top, «0u → 1u»);",
        "feast_learn.c: for (uint32_t n = 0; n «< → <=» FEAST_FEATURES; n++) {",
        "feast_learn.c: if (index «< → <=» FEAST_AT_THRESHOLDS) {",
        "feast_state.c: if (index «< → <=» FEAST_AT_THRESHOLDS) {",
        "feast_state.c: return feast_half(self->phase, index «- → +» FEAST_AT_PHASE);",
    ),
    "needs one instant that the script does not hit": (
        "feast_step.h: if (position < «FEAST_OCTAVE_Q8 → (FEAST_OCTAVE_Q8 - 1)») {",
    ),
    "needs a context whose squares sum up to a power of 4": (
        "feast_step.h: while (squares «< → <=» ((uint32_t)1 << 30)) {",
    ),
    "one unit of 2^30 and more: below the dither except for rare contexts": (
        "feast_kernel.h: int32_t norm2 = «0 → 1»;",
        "feast_kernel.h: uint32_t squares = «0 → 1»;",
        "feast_learn.c: const int32_t inverse = (int32_t)((«UINT32_MAX → (UINT32_MAX - 1)» / norm.r) << 14);",
    ),
    "scores do not tie in the script; tests of the readout have ties": (
        "feast_readout.c: if (self->scores[i] «> → >=» self->scores[best]) {",
    ),
    "neither layer of this network skips its border; tests/emitted/test_layers.py has some that do": (
        "feast.c: signals->border = self->layer1.border «+ → -» self->layer2.border;",
    ),
}
"""Mutants of the emitted C that the scenarios do not tell from it."""

TWIN_EQUIVALENT: Final[dict[str, tuple[str, ...]]] = {
    "an own mark, that no result code has": (
        "event_filter.py: PASSED: Final = «0 → -1»",
        "event_filter.py: PASSED: Final = «0 → 1»",
    ),
    "before the first event the last time is 0, which nothing precedes": (
        "event_filter.py: if clock[_SEEN] > «0 → -1» and t_us[i] < clock[_LAST]:",
        "event_filter.py: if «clock[_SEEN] > 0 → clock[_SEEN] >= 0» and t_us[i] < clock[_LAST]:",
    ),
    "at the bound both answers are 0": (
        "event_filter.py: left = np.where(self._fired & («age < span → age <= span»), span - age, np.uint64(0))",
    ),
    "numpy takes any negative number for -1": (
        'event_filter.py: left.reshape(-«1 → 2»).astype("<u2"),',
        'quantise.py: np.ascontiguousarray(weights, "<i2").reshape(-«1 → 2»).view("<u2"),',
        'layer.py: self._in_order(self.surface()).reshape(-«1 → 2»).astype("<i2").view("<u2"),',
    ),
    "room that is not used": (
        "event_filter.py: self._clock = np.zeros(«2 → 3», np.uint64)",
        "layer.py: self.scores = np.zeros(len(self.readout.labels) if self.readout else «0 → 1», np.int64)",
    ),
    "a cell has at most 14 bits: it is 0 from 14 octaves on": (
        "kernel.py: if «age < formats.DEAD_OCTAVES → age <= formats.DEAD_OCTAVES»:",
    ),
    "both ways of counting octaves agree where the shorter one does not overflow": (
        "layer.py: if int(elapsed[-1]) < 2**«55 → 54»:",
        "layer.py: if int(elapsed[-1]) < 2**«55 → 56»:",
        "layer.py: if int(elapsed[-1]) < «2 → 1»**55:",
        "layer.py: if int(elapsed[-1]) < «2**55 → 2 * 55»:",
        "layer.py: if «int(elapsed[-1]) < 2**55 → int(elapsed[-1]) <= 2 ** 55»:",
    ),
    "the gain stays below the bound for every eta that its shift allows": (
        "kernel.py: gain = min(«32767 → 32766», (_mulh(eta + 16 * p, inv << 14) + (x >> (1 + shift + k))) >> (31 - shift - k))",
        "kernel.py: gain = min(«32767 → 32768», (_mulh(eta + 16 * p, inv << 14) + (x >> (1 + shift + k))) >> (31 - shift - k))",
    ),
    "the float root of a number below 2^32 is exact: the corrections are not needed": (
        "kernel.py: r += «1 → 0»",
        "kernel.py: r += «1 → 2»",
        "kernel.py: r -= «1 → 0»",
        "kernel.py: r -= «1 → 2»",
        "kernel.py: while (r + 1) * (r + «1 → 2») <= scaled:",
        "kernel.py: while (r + «1 → 2») * (r + 1) <= scaled:",
        "kernel.py: while «(r + 1) * (r + 1) <= scaled → (r + 1) * (r + 1) < scaled»:",
        "kernel.py: while «r * r > scaled → r * r >= scaled»:",
        "kernel.py: while «r * r → r + r» > scaled:",
        "kernel.py: «r += 1 → r -= 1»",
        "kernel.py: «r -= 1 → r += 1»",
    ),
    "a lower layer never misses": (
        "layer.py: results[results >= «0 → -1»] = self.step_layer(feature_events(self.to_network_pixels(events), results))",
    ),
    "a cell of 0 has no age": (
        "layer.py: self._octaves.fill(«0 → -1»)",
        "layer.py: self._octaves.fill(«0 → 1»)",
    ),
    "0 has no sign, and no magnitude is 1 at its own event": (
        "kernel.py: value = magnitude if stored[channel, row, column] > «0 → -1» else -magnitude",
        "kernel.py: value = magnitude if stored[channel, row, column] > «0 → 1» else -magnitude",
        "kernel.py: value = magnitude if «stored[channel, row, column] > 0 → stored[channel, row, column] >= 0» else -magnitude",
    ),
    "any negative number says that there is none": ("kernel.py: winner = -«1 → 2»",),
    "a shift by -2 gives 0 in numpy: the loop goes on to 0": ("kernel.py: k = «0 → -1»",),
}
"""Mutants of twin and quantiser that no call can tell from them."""

TWIN_UNNOTICED: Final[dict[str, tuple[str, ...]]] = {
    "the filtered networks here keep times, longer than a tick; tests/emitted/test_filters.py has others": (
        "event_filter.py: if background > «0 → 1» and not _supported(fired, fired_us, column, row, now, shift, background):",
        "event_filter.py: keeps = refractory > 0 or background > «0 → 1»",
        "event_filter.py: size = (cells.height, cells.width) if filters.keeps_times else (0, «0 → 1»)",
        "event_filter.py: size = (cells.height, cells.width) if filters.keeps_times else («0 → 1», 0)",
    ),
    "needs features of more than 16,000 components": (
        "quantise.py: fraction = formats.WEIGHT_BITS - «1 → 2»",
    ),
    "two layers behind filters are in tests/emitted/test_filters.py": (
        "layer.py: if «self.lower is not None → self.lower is None»: #2",
    ),
    "needs 2^31 events": (
        'event_filter.py: np.array([self.counts[FILTERED] % 2**«32 → 31»], "<u4").view("<u2"),',
        'event_filter.py: np.array([self.counts[FILTERED] % 2**«32 → 33»], "<u4").view("<u2"),',
        'event_filter.py: np.array([self.counts[FILTERED] % «2 → 3»**32], "<u4").view("<u2"),',
        'layer.py: (self.wins % 2**«32 → 31»).astype("<u4").view("<u2"),',
        'layer.py: (self.wins % 2**«32 → 33»).astype("<u4").view("<u2"),',
        'layer.py: (self.wins % «2 → 3»**32).astype("<u4").view("<u2"),',
        "kernel.py: inv = (2**32 - «1 → 0») // r",
        "kernel.py: inv = (2**32 - «1 → 2») // r",
        "kernel.py: inv = («2**32 - 1 → 2 ** 32 + 1») // r",
        'layer.py: np.array([int(total) % 2**«32 → 31» for total in totals], "<u4").view("<u2"),',
        'layer.py: np.array([int(total) % 2**«32 → 33» for total in totals], "<u4").view("<u2"),',
        'layer.py: np.array([int(total) % «2 → 3»**32 for total in totals], "<u4").view("<u2"),',
    ),
    "needs a fraction of a half or more among the lengths tried": (
        "formats.py: return «round → int»(tau_us * math.log(2.0) * 2**TIME_BITS)",
    ),
    "no scenario asks for the scores of a network without a readout": (
        "network.py: return self._readout.scores if self._readout else np.zeros(«0 → 1», np.int64)",
    ),
    "needs a product that meets the bound exactly": (
        "formats.py: while 5 * eta_q32 > 2 ** (33 + bits - shift) + «2 → 3»:",
        "formats.py: while «dims * (2**bits - 1) ** 2 > MAX_ENERGY → dims * (2 ** bits - 1) ** 2 >= MAX_ENERGY»:",
        "quantise.py: while «np.abs(_narrowed(quant.weights, fraction)).max() > formats.NARROW_MAX → np.abs(_narrowed(quant.weights, fraction)).max() >= formats.NARROW_MAX»:",
    ),
    "the next length tried lies beyond both": ("quantise.py: TAU_RANGE_US = (10.0, «1e7 → 10000001.0»)",),
    "the networks' thresholds are whole in Q30": (
        "quantise.py: thresholds=«np.rint → np.floor»(model.thresholds * formats.UNIT).astype(np.int32),",
    ),
    "needs a context whose squares sum up to a power of 4, or shows below the dither": (
        "kernel.py: k = «0 → 1»",
        "kernel.py: while «q << (2 * k) < 2**30 → q << 2 * k <= 2 ** 30»:",
    ),
    "needs a weight that would fall below -32768; the script for the C has one": (
        "kernel.py: w[i] = min(max(w[i] + change, -(2**«15 → 16»)), 2**15 - 1)",
        "kernel.py: w[i] = min(max(w[i] + change, -(«2 → 3»**15)), 2**15 - 1)",
    ),
}
"""Mutants of twin and quantiser that the scenarios do not tell from them."""
