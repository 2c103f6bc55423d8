/* FEAST 8x6, 3 features of 3x3: two layers as one network.
 * Generated; change the model or the templates instead. Model 913dc05fb71307f2, build ff1c8fed089b5a78. */

#include "feast.h"
#include "feast2_learn.h"

#include <assert.h>

/* Order of the state: docs/numerics.md section 12. */
#define UPPER_REST_WORDS (FEAST2_SNAPSHOT_WORDS - FEAST2_STATE_WORDS)
static_assert(FEAST_STATE_WORDS == FEAST1_STATE_WORDS + FEAST2_STATE_WORDS, "learned states");
static_assert(FEAST_SNAPSHOT_WORDS == FEAST1_SNAPSHOT_WORDS + FEAST2_SNAPSHOT_WORDS, "whole states");
static_assert(FEAST1_FEATURES == 3u, "features below are channels above");

void feast_init(feast_t *self)
{
    feast1_init(&self->lower);
    feast2_init(&self->upper);
    self->foreign = 0;
}

void feast_reset(feast_t *self)
{
    feast1_reset(&self->lower);
    feast2_reset(&self->upper);
}

int16_t feast_step(feast_t *self, const feast_event_t *event)
{
    const int16_t channel = feast1_step(&self->lower, event);
    if (channel < 0) {
        return channel;
    }
    const feast2_event_t above = { event->t_us, event->x, event->y, (uint16_t)channel };
    return feast2_step(&self->upper, &above);
}

void feast_signals(const feast_t *self, feast_signals_t *signals)
{
    feast1_signals_t lower;
    feast2_signals_t upper;
    feast1_signals(&self->lower, &lower);
    feast2_signals(&self->upper, &upper);
    signals->hits = upper.hits;
    signals->misses = upper.misses;
    signals->border = lower.border + upper.border;
    signals->outside = lower.outside;
    signals->backwards = lower.backwards;
    signals->window_events = upper.window_events;
    signals->window_misses = upper.window_misses;
    signals->last_window_misses = upper.last_window_misses;
}

uint32_t feast_wins(const feast_t *self, uint32_t feature)
{
    return feast2_wins(&self->upper, feature);
}

int32_t feast_threshold(const feast_t *self, uint32_t feature)
{
    return feast2_threshold(&self->upper, feature);
}

uint16_t feast_snapshot_word(const feast_t *self, uint32_t index)
{
    if (index < FEAST2_STATE_WORDS) {
        return feast2_snapshot_word(&self->upper, index);
    }
    if (index < FEAST_STATE_WORDS) {
        return feast1_snapshot_word(&self->lower, index - FEAST2_STATE_WORDS);
    }
    if (index < FEAST_STATE_WORDS + UPPER_REST_WORDS) {
        return feast2_snapshot_word(&self->upper, index - FEAST1_STATE_WORDS);
    }
    return feast1_snapshot_word(&self->lower, index - FEAST2_SNAPSHOT_WORDS);
}

void feast_set_learning(feast_t *self, bool learning)
{
    feast2_set_learning(&self->upper, learning);
}

/* The lower layer lies in constant tables: its words can only be confirmed. All of them are given in an
 * import, so one that is not its own is remembered until it is given anew. */
void feast_import_word(feast_t *self, uint32_t index, uint16_t word)
{
    if (index < FEAST2_STATE_WORDS) {
        feast2_import_word(&self->upper, index, word);
    } else if (index >= FEAST_STATE_WORDS) {
        /* not part of the learned state */
    } else if (word != feast1_snapshot_word(&self->lower, index - FEAST2_STATE_WORDS)) {
        self->foreign = index + 1u;
    } else if (self->foreign == index + 1u) {
        self->foreign = 0;
    } else {
        /* its own */
    }
}

bool feast_import_finish(feast_t *self)
{
    const bool foreign = self->foreign != 0u;
    self->foreign = 0;
    if (foreign) {
        feast2_learn_init(&self->upper);
        return false;
    }
    return feast2_import_finish(&self->upper);
}
