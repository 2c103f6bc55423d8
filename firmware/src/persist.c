#include "persist.h"

#include <string.h>

#include "feast_wire.h"
#include "framing.h"

_Static_assert((PERSIST_UNIT_BYTES & (PERSIST_UNIT_BYTES - 1u)) == 0u && PERSIST_UNIT_BYTES >= 4u, "PERSIST_UNIT_BYTES");

#if LINK_PERSISTS

#define MAGIC 0x54534146u /* "FAST" */
#define AT_BUILD_ID 4u
#define AT_NUMBER 12u
#define AT_CHECKSUM (PERSIST_SLOT_BYTES - PERSIST_UNIT_BYTES)
#define NO_SLOT PERSIST_SLOTS

static const uint8_t build_id[8] = FEAST_BUILD_ID_BYTES;

/* What a slot holds: the number of the state, and whether all of it is there. */
typedef struct {
    uint32_t number;
    bool whole;
} slot_t;

static uint32_t checksum(uint32_t slot, uint32_t *number)
{
    uint8_t bytes[PERSIST_UNIT_BYTES];
    uint32_t crc = 0;
    for (uint32_t at = 0; at < PERSIST_BODY_BYTES; at += PERSIST_UNIT_BYTES) {
        const uint32_t left = PERSIST_BODY_BYTES - at;
        const uint32_t count = left < PERSIST_UNIT_BYTES ? left : PERSIST_UNIT_BYTES;
        persist_port_read(slot, at, bytes, count);
        crc = framing_crc32(crc, bytes, count);
    }
    persist_port_read(slot, AT_NUMBER, bytes, 4);
    *number = feast_wire_get_u32(bytes);
    return crc;
}

static slot_t inspect(uint32_t slot)
{
    uint8_t header[AT_NUMBER];
    uint8_t stored[4];
    slot_t found = {0};
    persist_port_read(slot, 0, header, sizeof header);
    persist_port_read(slot, AT_CHECKSUM, stored, sizeof stored);
    found.whole = feast_wire_get_u32(header) == MAGIC && memcmp(&header[AT_BUILD_ID], build_id, sizeof build_id) == 0
                  && checksum(slot, &found.number) == feast_wire_get_u32(stored) && found.number != 0u;
    return found;
}

/* The slot with the newest whole state, and its number; NO_SLOT and 0 if there is none. */
static uint32_t newest(uint32_t *number)
{
    uint32_t best = NO_SLOT;
    *number = 0;
    for (uint32_t slot = 0; slot < PERSIST_SLOTS; slot++) {
        const slot_t found = inspect(slot);
        if (found.whole && (best == NO_SLOT || found.number - *number < 0x80000000u)) {
            best = slot;
            *number = found.number;
        }
    }
    return best;
}

uint32_t persist_times(void)
{
    uint32_t number;
    (void)newest(&number);
    return number;
}

static uint16_t kept_word(uint32_t slot, uint32_t index)
{
    uint8_t word[2];
    persist_port_read(slot, PERSIST_HEADER_BYTES + 2u * index, word, sizeof word);
    return feast_wire_get_u16(word);
}

bool persist_load(feast_t *feast)
{
    uint32_t number;
    const uint32_t slot = newest(&number);
    if (slot == NO_SLOT) {
        return false;
    }
    for (uint32_t i = 0; i < FEAST_STATE_WORDS; i++) {
        feast_import_word(feast, i, kept_word(slot, i));
    }
    if (feast_import_finish(feast)) {
        return true;
    }
    feast_init(feast);
    return false;
}

static bool holds(uint32_t slot, const feast_t *feast)
{
    for (uint32_t i = 0; i < FEAST_STATE_WORDS; i++) {
        if (kept_word(slot, i) != feast_snapshot_word(feast, i)) {
            return false;
        }
    }
    return true;
}

/* Byte `at` of the body. */
static uint8_t body_byte(const feast_t *feast, uint32_t number, uint32_t at)
{
    if (at < AT_BUILD_ID) {
        return (uint8_t)(MAGIC >> (8u * at));
    }
    if (at < AT_NUMBER) {
        return build_id[at - AT_BUILD_ID];
    }
    if (at < PERSIST_HEADER_BYTES) {
        return (uint8_t)(number >> (8u * (at - AT_NUMBER)));
    }
    const uint32_t index = at - PERSIST_HEADER_BYTES;
    return (uint8_t)(feast_snapshot_word(feast, index / 2u) >> (8u * (index % 2u)));
}

static bool write_slot(const feast_t *feast, uint32_t slot, uint32_t number)
{
    uint8_t unit[PERSIST_UNIT_BYTES];
    uint32_t crc = 0;
    for (uint32_t at = 0; at < AT_CHECKSUM; at += PERSIST_UNIT_BYTES) {
        uint32_t count = 0;
        (void)memset(unit, 0xFF, sizeof unit);
        for (; count < PERSIST_UNIT_BYTES && at + count < PERSIST_BODY_BYTES; count++) {
            unit[count] = body_byte(feast, number, at + count);
        }
        crc = framing_crc32(crc, unit, count);
        if (!persist_port_write(slot, at, unit)) {
            return false;
        }
    }
    (void)memset(unit, 0xFF, sizeof unit);
    feast_wire_put_u32(unit, crc);
    return persist_port_write(slot, AT_CHECKSUM, unit);
}

bool persist_save(const feast_t *feast)
{
    uint32_t number;
    const uint32_t held = newest(&number);
    if (held != NO_SLOT && holds(held, feast)) {
        return true; /* asked again: no wear, no wait */
    }
    uint32_t slot = 0u;
    if (held == slot) {
        slot = 1u;
    }
    number = number + 1u == 0u ? 1u : number + 1u;
    if (!persist_port_erase(slot, PERSIST_SLOT_BYTES) || !write_slot(feast, slot, number)) {
        return false;
    }
    const slot_t written = inspect(slot);
    return written.whole && written.number == number;
}

#endif
