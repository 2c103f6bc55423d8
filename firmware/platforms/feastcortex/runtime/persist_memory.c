/* persist_port.h on the flash of the board: two slots one after the other, from FEAST_PERSIST_ORIGIN on, of
 * LINK_PERSIST_BYTES each, in whole pages. */
#include "persist_port.h"

#include <string.h>

#include "flash.h"

_Static_assert(LINK_PERSIST_BYTES % FEAST_PERSIST_PAGE_BYTES == 0u, "slots are whole pages");
_Static_assert(FEAST_PERSIST_PAGE_BYTES % PERSIST_UNIT_BYTES == 0u && PERSIST_UNIT_BYTES % 8u == 0u, "pages are whole units");

static uint32_t slot_address(uint32_t slot)
{
    return FEAST_PERSIST_ORIGIN + slot * LINK_PERSIST_BYTES;
}

bool persist_port_erase(uint32_t slot, uint32_t bytes)
{
    for (uint32_t at = 0; at < bytes; at += FEAST_PERSIST_PAGE_BYTES) {
        if (!flash_erase(slot_address(slot) + at)) {
            return false;
        }
    }
    return true;
}

bool persist_port_write(uint32_t slot, uint32_t offset, const uint8_t unit[PERSIST_UNIT_BYTES])
{
    uint32_t words[PERSIST_UNIT_BYTES / 4u];
    /* cppcheck-suppress misra-c2012-21.15 ; the bytes as they lie in memory, now aligned */
    (void)memcpy(words, unit, PERSIST_UNIT_BYTES);
    return flash_write(slot_address(slot) + offset, words, PERSIST_UNIT_BYTES / 4u);
}

void persist_port_read(uint32_t slot, uint32_t offset, uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t address = slot_address(slot) + offset + i;
        bytes[i] = (uint8_t)(mmio_read(address & ~3u) >> (8u * (address & 3u)));
    }
}
