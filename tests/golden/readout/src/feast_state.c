/* FEAST 8x6, 3 features of 3x3: signals and snapshot.
 * Generated; change the model or the templates instead. Model 599197ec5cbfe590, build 9983abc46f159fd9. */

#include "feast_kernel.h"
#include "feast_readout.h"

uint32_t feast_wins(const feast_t *self, uint32_t feature)
{
    return self->wins[feature];
}

int32_t feast_threshold(const feast_t *self, uint32_t feature)
{
    return feast_thresholds_of(self)[feature];
}

void feast_signals(const feast_t *self, feast_signals_t *signals)
{
    signals->hits = 0;
    for (uint32_t n = 0; n < FEAST_FEATURES; n++) {
        signals->hits += self->wins[n];
    }
    signals->misses = self->misses;
    signals->border = self->border;
    signals->outside = self->outside;
    signals->backwards = self->backwards;
    signals->window_events = self->window_events;
    signals->window_misses = self->window_misses;
    signals->last_window_misses = self->last_window_misses;
}

static uint16_t word_of(uint64_t value, uint32_t index)
{
    const uint32_t shift = 16u * index;
    return (uint16_t)(value >> shift);
}

/* Value of a surface cell at the present octave, whether or not its row has been brought up to date. */
static uint16_t surface_word(const feast_t *self, uint32_t index)
{
    const uint32_t row = index / FEAST_SENSOR_WIDTH;
    const uint32_t column = index % FEAST_SENSOR_WIDTH;
    const int32_t value = self->surface[row * FEAST_STRIDE + FEAST_MARGIN + column];
    const uint32_t age = (uint32_t)self->octave - self->row_octave[row];
    return (uint16_t)feast_halved(value, age < FEAST_DEAD_OCTAVES ? age : FEAST_DEAD_OCTAVES);
}

static uint16_t time_word(const feast_t *self, uint32_t index)
{
    if (index < 4u) {
        return word_of(self->t_us, index);
    }
    return index < 8u ? word_of(self->octave, index - 4u) : word_of(self->phase, index - 8u);
}

static uint16_t counter_word(const feast_t *self, uint32_t index)
{
    const uint32_t counters[] = { self->misses, self->border, self->outside, self->backwards };
    const uint16_t window[] = { self->window_events, self->window_misses, self->last_window_misses };
    return index < 8u ? word_of(counters[index / 2u], index % 2u) : window[index - 8u];
}

uint16_t feast_snapshot_word(const feast_t *self, uint32_t index)
{
    if (index < FEAST_FEATURES * FEAST_DIMS) {
        return (uint16_t)feast_weight(feast_weights_of(self), index / FEAST_DIMS, index % FEAST_DIMS);
    }
    index -= FEAST_FEATURES * FEAST_DIMS;
    if (index < 2u * FEAST_FEATURES) {
        return word_of((uint32_t)feast_thresholds_of(self)[index / 2u], index % 2u);
    }
    index -= 2u * FEAST_FEATURES;
    if (index < 2u) {
        return word_of(1u, index);
    }
    index -= 2u;
    if (index < 2u) {
        return index == 0u ? 0u : self->started;
    }
    index -= 2u;
    if (index < 10u) {
        return time_word(self, index);
    }
    index -= 10u;
    if (index < 2u * FEAST_FEATURES) {
        return word_of(self->wins[index / 2u], index % 2u);
    }
    index -= 2u * FEAST_FEATURES;
    if (index < 11u) {
        return counter_word(self, index);
    }
    index -= 11u;
    const uint32_t surface_words = (uint32_t)FEAST_SURFACES * FEAST_SENSOR_HEIGHT * FEAST_SENSOR_WIDTH;
    if (index < surface_words) {
        return surface_word(self, index);
    }
    index -= surface_words;
    return feast_readout_word(self, index);
}
