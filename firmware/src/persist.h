/* Keeps the learned state over a loss of power: two slots of memory that keeps what it holds, written in turn.
 *
 * A slot counts only once its checksum, written last, is right; so whenever the power fails, at least the
 * state kept before is still there. A build that does not learn, or whose state is larger than a slot, keeps
 * nothing, and nothing of this costs it anything.
 *
 * Slot: magic, build id, number, learned words, CRC-32 of all that; filled up with 0xFF to whole units. */
#ifndef FEAST_PERSIST_H
#define FEAST_PERSIST_H

#include <stdbool.h>
#include <stdint.h>

#include "feast.h"
#include "persist_port.h"

#define PERSIST_HEADER_BYTES 16u
#define PERSIST_BODY_BYTES (PERSIST_HEADER_BYTES + 2u * FEAST_STATE_WORDS)
/* What a slot must hold: the body in whole units, and a last unit with the checksum. */
#define PERSIST_SLOT_BYTES (((PERSIST_BODY_BYTES + PERSIST_UNIT_BYTES - 1u) / PERSIST_UNIT_BYTES + 1u) * PERSIST_UNIT_BYTES)

#if FEAST_LEARNING && PERSIST_SLOT_BYTES <= LINK_PERSIST_BYTES
#define LINK_PERSISTS 1
#else
#define LINK_PERSISTS 0
#endif

#if LINK_PERSISTS
/* Takes the newest whole state of this build, if there is one. Call after feast_init. */
bool persist_load(feast_t *feast);

/* Keeps the learned state, in the slot that does not hold the newest; writes nothing if that is this very state.
 * False if the memory did not take it; the state kept before is then still there. */
bool persist_save(const feast_t *feast);

/* How many states were kept, modulo 2^32, as far as the memory tells; 0: none is. */
uint32_t persist_times(void);
#else
static inline bool persist_load(feast_t *feast) { (void)feast; return false; }
static inline bool persist_save(const feast_t *feast) { (void)feast; return false; }
static inline uint32_t persist_times(void) { return 0u; }
#endif

#endif
