/* Core clock. One file of clock/ is linked, chosen by `clock.setup` of the board. */
#ifndef FEAST_CLOCK_H
#define FEAST_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Bring the core to FEAST_CLOCK_HZ. False if that failed: it then runs on FEAST_CLOCK_RESET_HZ as after
 * reset. Every wait inside is bounded. */
bool clock_setup(void);

#endif
