/* Memory that keeps what it holds. One file of flash/ is linked, chosen by `persist.family` of the board; persist_memory.c puts
 * the two slots of persist_port.h on it. Addresses are those the memory is read at. */
#ifndef FEAST_FLASH_H
#define FEAST_FLASH_H

#include <stdbool.h>
#include <stdint.h>

#include "board.h"
#include "mmio.h"

/* Erases the page of FEAST_PERSIST_PAGE_BYTES at `address`. False if the controller reports an error, or is not done
 * in FLASH_POLLS polls. */
bool flash_erase(uint32_t address);

/* Writes `count` words, an even number, to erased memory at `address`, a multiple of 8. False as above. */
bool flash_write(uint32_t address, const uint32_t *words, uint32_t count);

/* The slowest erase is that of a sector of 128 KB of an STM32F4: seconds. A poll takes five cycles or more, so this many
 * take five seconds or more. Where the core stands still meanwhile, few are made. */
#ifndef FLASH_POLLS
#define FLASH_POLLS FEAST_CLOCK_HZ
#endif

/* Waits until the bits of `mask` read `wanted`; false if they do not in FLASH_POLLS polls. */
static inline bool flash_reached(uint32_t address, uint32_t mask, uint32_t wanted)
{
    for (uint32_t poll = 0; poll < FLASH_POLLS; poll++) {
        if ((mmio_read(address) & mask) == wanted) {
            return true;
        }
    }
    return false;
}

#endif
