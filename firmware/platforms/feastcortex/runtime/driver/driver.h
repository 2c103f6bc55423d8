/* A build without the serial link: your code says where events come from and where results go.
 *
 *     codegen build --board NAME MODEL --driver FOLDER
 *
 * compiles every .c file of FOLDER into the firmware, in place of the link and the UART. port.h is there too:
 * clock, ticks, stack gauge, last fault. docs/use/boards.md shows an example. */
#ifndef FEAST_DRIVER_H
#define FEAST_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "feast.h"

typedef struct {
    /* Gives the next event and returns true, or returns false: none is there now. Never waits. Times must not
     * decrease; an event that lies off the sensor or back in time gets an error result and changes nothing. */
    bool (*next)(void *context, feast_event_t *event);
    /* Takes the result of that event: a feature id, or one of the negative codes of feast.h. */
    void (*result)(void *context, const feast_event_t *event, int16_t result);
    void *context; /* yours, passed to both */
} driver_t;

/* You define this: set up your peripheral and say what to call. Called once, clock and SysTick running. What it returns
 * must stay valid. `feast` is initialised and stays yours to look at, or to change between two events. */
const driver_t *driver_setup(feast_t *feast);

/* You may define this: external interrupt `number` (0 is the first behind those of the core) has fired. Enable it in
 * the NVIC yourself. Do not call feast_step here: store, and let `next` hand over. */
void driver_interrupt(uint32_t number);

#endif
