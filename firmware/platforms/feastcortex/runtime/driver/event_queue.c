/* An element is in use from the moment its number is less than `count` ahead of the event to be taken: so one of `count`
 * is always free to be written, and what was copied is whole if it is still within reach afterwards. */
#include "event_queue.h"

#define TRIES 4u /* of a copy that is overwritten meanwhile */

/* Events on this side of it are stored before what follows. */
static inline void barrier(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

bool event_queue_init(event_queue_t *self, feast_event_t *events, uint32_t count, event_queue_policy_t policy)
{
    const bool sound = count >= 2u && (count & (count - 1u)) == 0u;
    self->events = events;
    self->count = sound ? count : 1u;
    self->policy = sound ? policy : EVENT_QUEUE_DROP_NEWEST;
    self->put = 0;
    self->refused = 0;
    self->taken = 0;
    self->overtaken = 0;
    return sound;
}

bool event_queue_put(event_queue_t *self, const feast_event_t *event)
{
    const uint32_t put = self->put;
    if (self->policy == EVENT_QUEUE_DROP_NEWEST && put - self->taken >= self->count - 1u) {
        self->refused = self->refused + 1u;
        return false;
    }
    self->events[put & (self->count - 1u)] = *event;
    barrier();
    self->put = put + 1u;
    return true;
}

/* How many of the waiting events have been overwritten, or may be at this moment. */
static uint32_t out_of_reach(const event_queue_t *self, uint32_t waiting)
{
    return waiting > self->count - 1u ? waiting - (self->count - 1u) : 0u;
}

bool event_queue_take(event_queue_t *self, feast_event_t *event)
{
    for (uint32_t i = 0; i < TRIES; i++) {
        const uint32_t waiting = self->put - self->taken;
        const uint32_t gone = out_of_reach(self, waiting);
        const uint32_t next = self->taken + gone;
        if (waiting == 0u) {
            return false;
        }
        self->overtaken = self->overtaken + gone;
        self->taken = next;
        barrier();
        *event = self->events[next & (self->count - 1u)];
        barrier();
        if (self->put - next < self->count) {
            self->taken = next + 1u;
            return true;
        }
    }
    return false;
}

uint32_t event_queue_dropped(const event_queue_t *self)
{
    return self->refused + self->overtaken + out_of_reach(self, self->put - self->taken);
}
