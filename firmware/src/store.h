/* Keeps the learned state over a loss of power: two slots of memory that keeps what it holds, written in turn.
 *
 * A slot counts only once its checksum, written last, is right; so whenever the power fails, at least the
 * state kept before is still there. For boards that have such memory (-DLINK_STORE=1) the functions
 * store_port_* below are the board's; without it nothing of this costs anything.
 *
 * Slot: magic, build id, number, learned words, CRC-32 of all that; filled up with 0xFF to whole units. */
#ifndef FEAST_STORE_H
#define FEAST_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "feast.h"

#ifndef LINK_STORE
#define LINK_STORE 0
#endif
#ifndef STORE_UNIT_BYTES
#define STORE_UNIT_BYTES 16u /* what the memory programs at a time; a power of two, 4 or more */
#endif

#define STORE_SLOTS 2u
#define STORE_HEADER_BYTES 16u
#define STORE_BODY_BYTES (STORE_HEADER_BYTES + 2u * FEAST_STATE_WORDS)
/* What a slot must hold: the body in whole units, and a last unit with the checksum. */
#define STORE_SLOT_BYTES (((STORE_BODY_BYTES + STORE_UNIT_BYTES - 1u) / STORE_UNIT_BYTES + 1u) * STORE_UNIT_BYTES)

#if LINK_STORE
/* Takes the newest whole state of this build, if there is one. Call after feast_init. */
bool store_load(feast_t *feast);

/* Keeps the learned state, in the slot that does not hold the newest. False if the memory did not take it;
 * the state kept before is then still there. */
bool store_save(const feast_t *feast);

/* How many times a state was kept, modulo 2^32, as far as the memory tells; 0: none is. */
uint32_t store_kept(void);

/* The board's. A slot is at least STORE_SLOT_BYTES long; erased bytes read 0xFF. */
bool store_port_erase(uint32_t slot);
bool store_port_write(uint32_t slot, uint32_t offset, const uint8_t unit[STORE_UNIT_BYTES]);
void store_port_read(uint32_t slot, uint32_t offset, uint8_t *bytes, uint32_t count);
#else
static inline bool store_load(feast_t *feast) { (void)feast; return false; }
static inline bool store_save(const feast_t *feast) { (void)feast; return false; }
static inline uint32_t store_kept(void) { return 0u; }
#endif

#endif
