/* FEAST 8x6, 3 features of 3x3: time, surface and selection.
 * Generated; change the model or the templates instead. Model 5742232368656070, build f4fe4b60d8c839d5. */

#include "feast_kernel.h"
#include "feast_filter.h"

#include <string.h>

/* ---- Time and surface: docs/numerics.md sections 2 and 3 -------------------------------------------- */

/* Halves the values of a row `octaves` times, truncating magnitudes. */
static FEAST_NOINLINE void age_row(int16_t *row, uint32_t octaves)
{
    if (octaves < FEAST_DEAD_OCTAVES) {
        feast_halve_row(row, octaves);
    } else {
        (void)memset(row, 0, FEAST_STRIDE * sizeof row[0]);
    }
}

/* Brings rows up to the present octave. Rows age only when touched, each at most once an octave. */
static void age_rows(feast_t *self, uint32_t first, uint32_t count)
{
    const uint32_t now = (uint32_t)self->octave;
    for (uint32_t row = first; row < first + count; row++) {
        if (self->row_octave[row] != now) {
            age_row(&self->surface[row * FEAST_STRIDE], now - self->row_octave[row]);
            self->row_octave[row] = now;
        }
    }
}

/* Rows remember only the low 32 bits of their octave. So that these never alias, all rows are brought up
 * to date whenever the high bits change: once in 2^32 octaves, or after a silence as long. */
static FEAST_NOINLINE void age_all_rows(feast_t *self, uint64_t octave)
{
    const uint64_t epoch = self->octave & ~(uint64_t)UINT32_MAX;
    for (uint32_t row = 0; row < FEAST_SURFACES * FEAST_SENSOR_HEIGHT; row++) {
        const uint64_t age = octave - (epoch | self->row_octave[row]);
        age_row(&self->surface[row * FEAST_STRIDE], age < FEAST_DEAD_OCTAVES ? (uint32_t)age : FEAST_DEAD_OCTAVES);
        self->row_octave[row] = (uint32_t)octave;
    }
}

/* Moves octave and phase on by `elapsed_us`. Up to 2^23 us (8 s) 32-bit arithmetic does. */
static void advance(feast_t *self, uint64_t elapsed_us)
{
    uint64_t octave = self->octave;
    if (elapsed_us < ((uint64_t)1 << 23)) {
        const uint32_t position = self->phase + ((uint32_t)elapsed_us << 8);
        if (position < FEAST_OCTAVE_Q8) {
            self->phase = position;
            return;
        }
        const uint32_t octaves = position / FEAST_OCTAVE_Q8;
        octave += octaves;
        self->phase = position % FEAST_OCTAVE_Q8;
    } else {
        /* elapsed * 2^8 may not fit 64 bits: split off the whole multiples of the octave length first. */
        const uint64_t position = ((elapsed_us % FEAST_OCTAVE_Q8) << 8) + self->phase;
        octave += ((elapsed_us / FEAST_OCTAVE_Q8) << 8) + position / FEAST_OCTAVE_Q8;
        self->phase = (uint32_t)(position % FEAST_OCTAVE_Q8);
    }
    if ((octave >> 32) != (self->octave >> 32)) {
        age_all_rows(self, octave);
    }
    self->octave = octave;
}

static int16_t mantissa(uint32_t phase)
{
    return (int16_t)feast_mantissas[((uint64_t)phase * FEAST_FRACTION_FACTOR) >> 32];
}

/* ---- Selection: docs/numerics.md sections 4 and 5 --------------------------------------------------- */

typedef struct {
    uint32_t feature; /* FEAST_NONE if no feature was in range */
    int32_t dot;
} feast_winner_t;

static inline feast_winner_t nearer(feast_winner_t winner, int32_t dot, uint32_t feature)
{
    if (dot > winner.dot) {
        winner.feature = feature;
        winner.dot = dot;
    }
    return winner;
}

/* The nearest feature of a bank. */
static feast_winner_t nearest(const feast_t *self, uint32_t bank, const feast_patch_t *patch)
{
    const feast_pair_t *weights = feast_weights_of(self) + bank * FEAST_BLOCKS * FEAST_BLOCK_WORDS;
    feast_winner_t winner = { FEAST_NONE, INT32_MIN };
    for (uint32_t place = 0; place < FEAST_NEURONS; place += FEAST_GROUP) {
        const uint32_t feature = bank * FEAST_NEURONS + place;
        int32_t dots[FEAST_GROUP];
        feast_dots(patch, weights, dots);
        winner = nearer(winner, dots[0], feature + 0u);
        winner = nearer(winner, dots[1], feature + 1u);
        winner = nearer(winner, dots[2], feature + 2u);
        if (place + 3u < FEAST_NEURONS) {
            winner = nearer(winner, dots[3], feature + 3u);
        }
        weights += FEAST_BLOCK_WORDS;
    }
    return winner;
}

static void count_compared(feast_t *self, bool missed)
{
    self->window_events++;
    self->window_misses = (uint16_t)(self->window_misses + (missed ? 1u : 0u));
    if (self->window_events == FEAST_WINDOW_EVENTS) {
        self->last_window_misses = self->window_misses;
        self->window_events = 0;
        self->window_misses = 0;
    }
}

static int16_t compare(feast_t *self, uint32_t bank, const feast_patch_t *patch)
{
    const feast_winner_t winner = nearest(self, bank, patch);
    const bool missed = winner.feature == FEAST_NONE;
    count_compared(self, missed);
    if (missed) {
        self->misses++;
    } else {
        self->wins[winner.feature]++;
    }
    return missed ? FEAST_MISS : (int16_t)winner.feature;
}

/* ---- Public ----------------------------------------------------------------------------------------- */

void feast_init(feast_t *self)
{
    (void)memset(self, 0, sizeof *self);
}

void feast_reset(feast_t *self)
{
    self->started = false;
    self->t_us = 0;
    self->octave = 0;
    self->phase = 0;
    (void)memset(self->row_octave, 0, sizeof self->row_octave);
    (void)memset(self->surface, 0, sizeof self->surface);
    feast_filter_reset(self);
}

int16_t feast_step(feast_t *self, const feast_event_t *event)
{
    if (event->x >= FEAST_CAMERA_WIDTH || event->y >= FEAST_CAMERA_HEIGHT) {
        self->outside++;
        return FEAST_OUTSIDE;
    }
    if (self->seen && event->t_us < self->seen_us) {
        self->backwards++;
        return FEAST_BACKWARDS;
    }
    if (!feast_filter_passes(self, event)) {
        self->filtered++;
        return FEAST_FILTERED;
    }
    if (self->started) {
        advance(self, event->t_us - self->t_us);
    }
    self->started = true;
    self->t_us = event->t_us;

    const uint32_t x = (uint32_t)event->x >> FEAST_DOWNSAMPLE;
    const uint32_t y = (uint32_t)event->y >> FEAST_DOWNSAMPLE;
    const uint32_t top = y < FEAST_RADIUS ? FEAST_RADIUS - y : 0u;
    const uint32_t below = FEAST_SENSOR_HEIGHT - 1u - y;
    const uint32_t bottom = below < FEAST_RADIUS ? FEAST_RADIUS - below : 0u;
    const uint32_t bank = 0;
    const uint32_t pixel_row = bank * FEAST_SENSOR_HEIGHT + y;
    const uint32_t surface_row = pixel_row * FEAST_CHANNELS;
    const uint32_t first_row = (pixel_row + top - FEAST_RADIUS) * FEAST_CHANNELS;
    const uint32_t rows = (FEAST_SIDE - top - bottom) * FEAST_CHANNELS;
    age_rows(self, first_row, rows);
    self->surface[surface_row * FEAST_STRIDE + FEAST_MARGIN + x] = mantissa(self->phase);

    const int16_t *cells = &self->surface[first_row * FEAST_STRIDE + FEAST_MARGIN + x - FEAST_RADIUS];
    feast_patch_t patch;
    feast_take_patch(&patch, cells, top * FEAST_CHANNELS, rows);
    return compare(self, bank, &patch);
}
