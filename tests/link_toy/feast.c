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
        return FEAST_OUTSIDE;
    }
    if (event->t_us < self->t_us) {
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
