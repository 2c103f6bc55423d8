/* persist_port_* over two slots of memory whose power may fail: flash, whose writing only clears bits. */
#ifndef FLASH_H
#define FLASH_H

#include "fuzz.h"
#include "persist.h"

static uint8_t flash[PERSIST_SLOTS][LINK_PERSIST_BYTES];
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

bool persist_port_erase(uint32_t slot, uint32_t bytes)
{
    CHECK(slot < PERSIST_SLOTS && bytes <= LINK_PERSIST_BYTES);
    const uint32_t done = flash_done(sizeof flash[slot]);
    memset(flash[slot], 0xFF, done);
    return done == sizeof flash[slot];
}

bool persist_port_write(uint32_t slot, uint32_t offset, const uint8_t unit[PERSIST_UNIT_BYTES])
{
    CHECK(slot < PERSIST_SLOTS && offset % PERSIST_UNIT_BYTES == 0u && offset < LINK_PERSIST_BYTES);
    const uint32_t done = flash_done(PERSIST_UNIT_BYTES);
    for (uint32_t i = 0; i < done; i++) {
        flash[slot][offset + i] &= unit[i];
    }
    return done == PERSIST_UNIT_BYTES;
}

void persist_port_read(uint32_t slot, uint32_t offset, uint8_t *bytes, uint32_t count)
{
    CHECK(slot < PERSIST_SLOTS && offset <= LINK_PERSIST_BYTES && count <= LINK_PERSIST_BYTES - offset);
    memcpy(bytes, &flash[slot][offset], count);
}

#endif
