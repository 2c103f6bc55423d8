/* The smallest program around an emitted library: a vertical bar moves to the right, each event gets its feature. */
#include "feast.h"

#if __STDC_HOSTED__
#include <stdio.h>
#endif

#define STEP_US 500u

static feast_t feast; /* all state; goes wherever you put it */
static uint32_t wins[FEAST_FEATURES];

static void show(const feast_event_t *event, int16_t result)
{
#if __STDC_HOSTED__
    printf("%llu %u %u %u %d\n", (unsigned long long)event->t_us, (unsigned)event->x, (unsigned)event->y,
           (unsigned)event->polarity, (int)result);
#else
    (void)event;
#endif
    if (result >= 0) { /* or one of the negative codes of feast.h */
        wins[result]++;
    }
}

int main(void)
{
    feast_init(&feast);
    for (uint16_t x = 0; x < FEAST_SENSOR_WIDTH; x++) {
        for (uint16_t y = 0; y < FEAST_SENSOR_HEIGHT; y++) {
            const feast_event_t event = {.t_us = (uint64_t)x * STEP_US + y, .x = x, .y = y, .polarity = 1};
            show(&event, feast_step(&feast, &event));
        }
    }
    return 0;
}
