/* A queue of events from a camera's interrupt to the main loop of a driver (driver.h). When it is full, it drops either
 * the event that comes or the oldest one, by your choice, and counts it. Neither side ever waits.
 *
 *     static feast_event_t room[256];
 *     static event_queue_t queue;
 *     event_queue_init(&queue, room, 256u, EVENT_QUEUE_DROP_OLDEST);      before the interrupt is enabled
 *     in the interrupt:  (void)event_queue_put(&queue, &event);
 *     in `next`:         return event_queue_take(&queue, event);
 *
 * One side puts, one takes; each may interrupt the other, or run on a core of its own. */
#ifndef EVENT_QUEUE_H
#define EVENT_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "feast.h"

typedef enum {
    EVENT_QUEUE_DROP_NEWEST, /* what is in the queue stays: no gap up to the point where it got full */
    EVENT_QUEUE_DROP_OLDEST  /* what comes last is there: results lag behind by no more than the queue */
} event_queue_policy_t;

/* Counters are modulo 2^32. */
typedef struct {
    feast_event_t *events;
    uint32_t count;
    event_queue_policy_t policy;
    volatile uint32_t put;       /* by the side that puts: events stored */
    volatile uint32_t refused;   /* events not stored */
    volatile uint32_t taken;     /* by the side that takes: events given or overtaken */
    volatile uint32_t overtaken; /* events that were overwritten before they were taken */
} event_queue_t;

/* `count`: elements of `events`, a power of two from 2 on, else false is returned and nothing can be put. One less than
 * `count` fit. */
bool event_queue_init(event_queue_t *self, feast_event_t *events, uint32_t count, event_queue_policy_t policy);

/* Stores an event. False if it was dropped, which is counted. */
bool event_queue_put(event_queue_t *self, const feast_event_t *event);

/* Gives the oldest event that is left. False if there is none now, also where events come so fast that what was being
 * copied was overwritten several times over: then the next call goes on with what is left. */
bool event_queue_take(event_queue_t *self, feast_event_t *event);

/* Events dropped since the start. Exact for the side that takes. */
uint32_t event_queue_dropped(const event_queue_t *self);

#endif
