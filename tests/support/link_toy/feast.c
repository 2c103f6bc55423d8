#include "feast.h"

void feast_init(feast_t *self)
{
    feast_reset(self);
    self->learned = 0;
    self->learning = FEAST_LEARNING != 0;
}

void feast_reset(feast_t *self)
{
    self->t_us = 0;
    self->events = 0;
    self->outside = 0;
    self->backwards = 0;
}

#if FEAST_LEARNING
void feast_set_learning(feast_t *self, bool learning)
{
    self->learning = learning;
}
#endif

int16_t feast_step(feast_t *self, const feast_event_t *event)
{
    if (event->x >= FEAST_SENSOR_WIDTH || event->y >= FEAST_SENSOR_HEIGHT) {
        self->outside++;
        return FEAST_OUTSIDE;
    }
    if (event->t_us < self->t_us) {
        self->backwards++;
        return FEAST_BACKWARDS;
    }
    const uint32_t mixed = 31u * event->x + 7u * event->y + event->polarity + self->events;
    self->t_us = event->t_us;
    self->events++;
    self->learned += self->learning ? 1u : 0u;
    return (int16_t)(mixed % FEAST_FEATURES);
}

/* Four words each: what was learned, events, time. */
uint16_t feast_snapshot_word(const feast_t *self, uint32_t index)
{
    const uint64_t values[3] = {self->learned, self->events, self->t_us};
    return (uint16_t)(values[index / 4u] >> (16u * (index % 4u)));
}

void feast_signals(const feast_t *self, feast_signals_t *signals)
{
    const feast_signals_t values = {
        .hits = self->events,
        .outside = self->outside,
        .backwards = self->backwards,
        .window_events = (uint16_t)(self->events % 1024u),
        .last_window_misses = 5u,
    };
    *signals = values;
}

/* Numbers that tell features and moments apart. */
int32_t feast_threshold(const feast_t *self, uint32_t feature)
{
    return (int32_t)feature * 1000 - (int32_t)self->events;
}

uint32_t feast_wins(const feast_t *self, uint32_t feature)
{
    return self->events + 7u * feature;
}

#if defined(FEAST_CLASSES) && FEAST_FADES
void feast_classify(const feast_t *self, feast_decision_t *decision)
{
    decision->label = self->events == 0u ? (int16_t)-1 : (int16_t)(self->events % FEAST_CLASSES);
    decision->margin = UINT32_MAX - self->events;
    decision->typicality = (uint16_t)(self->events % 0x8000u);
    decision->abstains = self->events % 2u == 0u;
}
#elif defined(FEAST_CLASSES)
int64_t feast_score(const feast_t *self, uint32_t index)
{
    return ((int64_t)self->events << 33) - (int64_t)index;
}

int32_t feast_class(const feast_t *self)
{
    return self->events == 0u ? -1 : (int32_t)(self->events % FEAST_CLASSES);
}
#endif

#if FEAST_LEARNING
void feast_import_word(feast_t *self, uint32_t index, uint16_t word)
{
    const uint32_t shift = 16u * index;
    self->learned = (self->learned & ~((uint64_t)0xFFFFu << shift)) | ((uint64_t)word << shift);
}

bool feast_import_finish(feast_t *self)
{
    if (self->learned > FEAST_LEARNED_MAX) {
        self->learned = 0;
        return false;
    }
    return true;
}
#endif
