/* store_port_* over two slots of memory whose power may fail: flash, whose writing only clears bits. */
#ifndef FLASH_H
#define FLASH_H

#include "fuzz.h"
#include "store.h"

static uint8_t flash[STORE_SLOTS][LINK_STORE_BYTES];
static uint32_t flash_left = UINT32_MAX; /* operations until the power fails */
static uint32_t flash_part; /* bytes of the operation in which it fails that are done */

static inline uint32_t flash_done(uint32_t bytes)
{
    if (flash_left == 0u) {
        const uint32_t part = flash_part < bytes ? flash_part : bytes;
        flash_part = 0;
        return part;
    }
    flash_left--;
    return bytes;
}

bool store_port_erase(uint32_t slot, uint32_t bytes)
{
    CHECK(slot < STORE_SLOTS && bytes <= LINK_STORE_BYTES);
    const uint32_t done = flash_done(sizeof flash[slot]);
    memset(flash[slot], 0xFF, done);
    return done == sizeof flash[slot];
}

bool store_port_write(uint32_t slot, uint32_t offset, const uint8_t unit[STORE_UNIT_BYTES])
{
    CHECK(slot < STORE_SLOTS && offset % STORE_UNIT_BYTES == 0u && offset < LINK_STORE_BYTES);
    const uint32_t done = flash_done(STORE_UNIT_BYTES);
    for (uint32_t i = 0; i < done; i++) {
        flash[slot][offset + i] &= unit[i];
    }
    return done == STORE_UNIT_BYTES;
}

void store_port_read(uint32_t slot, uint32_t offset, uint8_t *bytes, uint32_t count)
{
    CHECK(slot < STORE_SLOTS && offset <= LINK_STORE_BYTES && count <= LINK_STORE_BYTES - offset);
    memcpy(bytes, &flash[slot][offset], count);
}

#endif
