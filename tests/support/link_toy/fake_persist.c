/* persist_port_* in memory, with a power cut at any operation: what was under way is done in part. */
#include "persist.h"

#if LINK_PERSISTS

#include <string.h>

#include "link.h"

static uint8_t memory[PERSIST_SLOTS][PERSIST_SLOT_BYTES];
static uint32_t operations;
static uint32_t cut_at; /* operation that the power fails in; 0: none */
static uint32_t seed;
static bool dead;

uint32_t fake_persist_bytes(void) { return sizeof memory; }
uint8_t *fake_persist_memory(void) { return &memory[0][0]; }

/* Power on, to fail in operation `at` (1 is the next one), 0 for never. */
void fake_persist_power(uint32_t at, uint32_t new_seed)
{
    operations = 0;
    cut_at = at;
    seed = new_seed;
    dead = false;
}

uint32_t fake_persist_operations(void) { return operations; }

/* True if this operation is done whole; else `*part` bytes of it are. */
static bool powered(uint32_t bytes, uint32_t *part)
{
    if (dead) {
        *part = 0;
        return false;
    }
    operations++;
    if (operations != cut_at) {
        return true;
    }
    dead = true;
    seed = seed * 1664525u + 1013904223u;
    *part = (seed >> 8) % (bytes + 1u);
    return false;
}

bool persist_port_erase(uint32_t slot, uint32_t bytes)
{
    uint32_t part;
    const bool whole = powered(bytes, &part);
    memset(memory[slot], 0xFF, whole ? bytes : part);
    return whole;
}

/* Flash only clears bits. */
bool persist_port_write(uint32_t slot, uint32_t offset, const uint8_t unit[PERSIST_UNIT_BYTES])
{
    uint32_t part;
    const bool whole = powered(PERSIST_UNIT_BYTES, &part);
    for (uint32_t i = 0; i < (whole ? PERSIST_UNIT_BYTES : part); i++) {
        memory[slot][offset + i] &= unit[i];
    }
    return whole;
}

void persist_port_read(uint32_t slot, uint32_t offset, uint8_t *bytes, uint32_t count)
{
    memcpy(bytes, &memory[slot][offset], count);
}

#else
typedef int fake_persist_is_not_built;
#endif
