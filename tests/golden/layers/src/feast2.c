/* FEAST 8x6, 3 features of 3x3: time, surface and selection.
 * Generated; change the model or the templates instead. Model 913dc05fb71307f2, build ff1c8fed089b5a78. */

#include "feast2_learn.h"

#include <string.h>

/* ---- Time and surface: docs/numerics.md sections 2 and 3 -------------------------------------------- */

/* Halves the values of a row `octaves` times, truncating magnitudes. */
static FEAST2_NOINLINE void age_row(int16_t *row, uint32_t octaves)
{
    if (octaves < FEAST2_DEAD_OCTAVES) {
        feast2_halve_row(row, octaves);
    } else {
        (void)memset(row, 0, FEAST2_STRIDE * sizeof row[0]);
    }
}

/* Brings rows up to the present octave. Rows age only when touched, each at most once an octave. */
static void age_rows(feast2_t *self, uint32_t first, uint32_t count)
{
    const uint32_t now = (uint32_t)self->octave;
    for (uint32_t row = first; row < first + count; row++) {
        if (self->row_octave[row] != now) {
            age_row(&self->surface[row * FEAST2_STRIDE], now - self->row_octave[row]);
            self->row_octave[row] = now;
        }
    }
}

/* Rows remember only the low 32 bits of their octave. So that these never alias, all rows are brought up
 * to date whenever the high bits change: once in 2^32 octaves, or after a silence as long. */
static FEAST2_NOINLINE void age_all_rows(feast2_t *self, uint64_t octave)
{
    const uint64_t epoch = self->octave & ~(uint64_t)UINT32_MAX;
    for (uint32_t row = 0; row < FEAST2_SURFACES * FEAST2_SENSOR_HEIGHT; row++) {
        const uint64_t age = octave - (epoch | self->row_octave[row]);
        age_row(&self->surface[row * FEAST2_STRIDE], age < FEAST2_DEAD_OCTAVES ? (uint32_t)age : FEAST2_DEAD_OCTAVES);
        self->row_octave[row] = (uint32_t)octave;
    }
}

/* Moves octave and phase on by `elapsed_us`. Up to 2^23 us (8 s) 32-bit arithmetic does. */
static void advance(feast2_t *self, uint64_t elapsed_us)
{
    uint64_t octave = self->octave;
    if (elapsed_us < ((uint64_t)1 << 23)) {
        const uint32_t position = self->phase + ((uint32_t)elapsed_us << 8);
        if (position < FEAST2_OCTAVE_Q8) {
            self->phase = position;
            return;
        }
        const uint32_t octaves = position / FEAST2_OCTAVE_Q8;
        octave += octaves;
        self->phase = position % FEAST2_OCTAVE_Q8;
    } else {
        /* elapsed * 2^8 may not fit 64 bits: split off the whole multiples of the octave length first. */
        const uint64_t position = ((elapsed_us % FEAST2_OCTAVE_Q8) << 8) + self->phase;
        octave += ((elapsed_us / FEAST2_OCTAVE_Q8) << 8) + position / FEAST2_OCTAVE_Q8;
        self->phase = (uint32_t)(position % FEAST2_OCTAVE_Q8);
    }
    if ((octave >> 32) != (self->octave >> 32)) {
        age_all_rows(self, octave);
    }
    self->octave = octave;
}

static int16_t mantissa(uint32_t phase)
{
    return (int16_t)feast2_mantissas[((uint64_t)phase * FEAST2_FRACTION_FACTOR) >> 32];
}

/* ---- Selection: docs/numerics.md sections 4 and 5 --------------------------------------------------- */

/* floor(sqrt(value)) for 2^30 <= value < 2^32: two of Newton's steps from a line within 5 % of it end at
 * the root or one above. */
static uint32_t square_root(uint32_t value)
{
    uint32_t root = (value >> 17) + (value >> 19) + 24000u;
    root = (root + value / root) / 2u;
    root = (root + value / root) / 2u;
    return value / root < root ? root - 1u : root;
}

static feast2_norm_t patch_norm(const feast2_patch_t *patch)
{
    uint32_t squares = feast2_squares(patch);
    feast2_norm_t norm = { 0u, 0u };
    while (squares < ((uint32_t)1 << 30)) {
        squares <<= 2;
        norm.k++;
    }
    norm.r = square_root(squares);
    return norm;
}

typedef struct {
    uint32_t feature; /* FEAST2_NONE if no feature was in range */
    int32_t dot;
} feast2_winner_t;

static inline feast2_winner_t nearer(feast2_winner_t winner, int32_t dot, uint32_t feature)
{
    if (dot > winner.dot) {
        winner.feature = feature;
        winner.dot = dot;
    }
    return winner;
}

/* The nearest feature of a bank. */
static feast2_winner_t nearest(const feast2_t *self, uint32_t bank, const feast2_patch_t *patch)
{
    const feast2_pair_t *weights = feast2_weights_of(self) + bank * FEAST2_BLOCKS * FEAST2_BLOCK_WORDS;
    feast2_winner_t winner = { FEAST2_NONE, INT32_MIN };
    for (uint32_t place = 0; place < FEAST2_NEURONS; place += FEAST2_GROUP) {
        const uint32_t feature = bank * FEAST2_NEURONS + place;
        int32_t dots[FEAST2_GROUP];
        feast2_dots(patch, weights, dots);
        winner = nearer(winner, dots[0], feature + 0u);
        winner = nearer(winner, dots[1], feature + 1u);
        winner = nearer(winner, dots[2], feature + 2u);
        if (place + 3u < FEAST2_NEURONS) {
            winner = nearer(winner, dots[3], feature + 3u);
        }
        weights += FEAST2_BLOCK_WORDS;
    }
    return winner;
}

static inline bool in_range(int32_t dot, int32_t threshold, feast2_norm_t norm)
{
    const uint64_t scale = (uint64_t)1 << (30u - FEAST2_WEIGHT_FRACTION + norm.k);
    return (int64_t)dot * (int64_t)scale >= (int64_t)threshold * (int64_t)norm.r;
}

/* The nearest feature of a bank among those in range of their selection thresholds. */
static feast2_winner_t nearest_in_range(const feast2_t *self, uint32_t bank, const feast2_patch_t *patch, feast2_norm_t norm)
{
    const feast2_pair_t *weights = feast2_weights_of(self) + bank * FEAST2_BLOCKS * FEAST2_BLOCK_WORDS;
    const int32_t *thresholds = feast2_thresholds_of(self);
    feast2_winner_t winner = { FEAST2_NONE, INT32_MIN };
    for (uint32_t place = 0; place < FEAST2_NEURONS; place += FEAST2_GROUP) {
        const uint32_t feature = bank * FEAST2_NEURONS + place;
        int32_t dots[FEAST2_GROUP];
        feast2_dots(patch, weights, dots);
        if (dots[0] > winner.dot && in_range(dots[0], thresholds[feature + 0u], norm)) {
            winner.feature = feature + 0u;
            winner.dot = dots[0];
        }
        if (dots[1] > winner.dot && in_range(dots[1], thresholds[feature + 1u], norm)) {
            winner.feature = feature + 1u;
            winner.dot = dots[1];
        }
        if (dots[2] > winner.dot && in_range(dots[2], thresholds[feature + 2u], norm)) {
            winner.feature = feature + 2u;
            winner.dot = dots[2];
        }
        if (place + 3u < FEAST2_NEURONS && dots[3] > winner.dot && in_range(dots[3], thresholds[feature + 3u], norm)) {
            winner.feature = feature + 3u;
            winner.dot = dots[3];
        }
        weights += FEAST2_BLOCK_WORDS;
    }
    return winner;
}

static void count_compared(feast2_t *self, bool missed)
{
    self->window_events++;
    self->window_misses = (uint16_t)(self->window_misses + (missed ? 1u : 0u));
    if (self->window_events == FEAST2_WINDOW_EVENTS) {
        self->last_window_misses = self->window_misses;
        self->window_events = 0;
        self->window_misses = 0;
    }
}

static int16_t compare(feast2_t *self, uint32_t bank, const feast2_patch_t *patch)
{
    feast2_norm_t norm = { 0u, 0u };
    feast2_winner_t winner;
    if (self->learning) {
        norm = patch_norm(patch);
        winner = nearest_in_range(self, bank, patch, norm);
    } else {
        winner = nearest(self, bank, patch);
    }
    const bool missed = winner.feature == FEAST2_NONE;
    count_compared(self, missed);
    if (missed) {
        self->misses++;
    } else {
        self->wins[winner.feature]++;
    }
    if (self->learning && missed) {
        feast2_learn_miss(self, bank);
    } else if (self->learning) {
        feast2_learn_hit(self, winner.feature, patch, winner.dot, norm);
    } else {
        /* frozen for now: nothing adapts */
    }
    return missed ? FEAST2_MISS : (int16_t)winner.feature;
}

/* ---- Public ----------------------------------------------------------------------------------------- */

void feast2_init(feast2_t *self)
{
    (void)memset(self, 0, sizeof *self);
    self->learning = true;
    feast2_learn_init(self);
}

void feast2_reset(feast2_t *self)
{
    self->started = false;
    self->t_us = 0;
    self->octave = 0;
    self->phase = 0;
    (void)memset(self->row_octave, 0, sizeof self->row_octave);
    (void)memset(self->surface, 0, sizeof self->surface);
}

int16_t feast2_step(feast2_t *self, const feast2_event_t *event)
{
    if (event->x >= FEAST2_SENSOR_WIDTH || event->y >= FEAST2_SENSOR_HEIGHT || event->channel >= FEAST2_CHANNELS) {
        self->outside++;
        return FEAST2_OUTSIDE;
    }
    if (self->started && event->t_us < self->t_us) {
        self->backwards++;
        return FEAST2_BACKWARDS;
    }
    if (self->started) {
        advance(self, event->t_us - self->t_us);
    }
    self->started = true;
    self->t_us = event->t_us;

    const uint32_t x = event->x;
    const uint32_t y = event->y;
    const uint32_t top = y < FEAST2_RADIUS ? FEAST2_RADIUS - y : 0u;
    const uint32_t below = FEAST2_SENSOR_HEIGHT - 1u - y;
    const uint32_t bottom = below < FEAST2_RADIUS ? FEAST2_RADIUS - below : 0u;
    const uint32_t bank = 0;
    const uint32_t pixel_row = bank * FEAST2_SENSOR_HEIGHT + y;
    const uint32_t surface_row = pixel_row * FEAST2_CHANNELS + event->channel;
    const uint32_t first_row = (pixel_row + top - FEAST2_RADIUS) * FEAST2_CHANNELS;
    const uint32_t rows = (FEAST2_SIDE - top - bottom) * FEAST2_CHANNELS;
    age_rows(self, first_row, rows);
    self->surface[surface_row * FEAST2_STRIDE + FEAST2_MARGIN + x] = mantissa(self->phase);

    const int16_t *cells = &self->surface[first_row * FEAST2_STRIDE + FEAST2_MARGIN + x - FEAST2_RADIUS];
    feast2_patch_t patch;
    feast2_take_patch(&patch, cells, top * FEAST2_CHANNELS, rows);
    return compare(self, bank, &patch);
}
