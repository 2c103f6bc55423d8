/* Core clock. One file of clock/ is linked, chosen by `clock.setup` of the board. */
#ifndef FEAST_CLOCK_H
#define FEAST_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "mmio.h"

/* Bring the core to FEAST_CLOCK_HZ. False if that failed: it then runs on FEAST_CLOCK_RESET_HZ. Every wait
 * inside is bounded. */
bool clock_setup(void);

/* Oscillators and PLLs here take up to 1 ms: at a few cycles a poll this is many times as long. */
#define CLOCK_POLLS 20000u

/* Waits until the bits of `mask` read `wanted`; false if they do not in CLOCK_POLLS polls. */
static inline bool clock_reached(uint32_t address, uint32_t mask, uint32_t wanted)
{
    for (uint32_t poll = 0; poll < CLOCK_POLLS; poll++) {
        if ((mmio_read(address) & mask) == wanted) {
            return true;
        }
    }
    return false;
}

#endif
