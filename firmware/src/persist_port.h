/* Memory that keeps what it holds, as persist.c wants it: two slots, erased whole and written in units.
 *
 * Where a board has some (LINK_PERSIST_BYTES), the functions are in firmware/platforms/feastcortex/runtime. */
#ifndef FEAST_PERSIST_PORT_H
#define FEAST_PERSIST_PORT_H

#include <stdbool.h>
#include <stdint.h>

#ifndef LINK_PERSIST_BYTES
#define LINK_PERSIST_BYTES 0u /* of a slot; 0: there is no such memory */
#endif
#define PERSIST_SLOTS 2u
#define PERSIST_UNIT_BYTES 16u /* a multiple of what the memory programs at a time; a power of two, 4 or more */

/* Erases at least the first `bytes` of a slot, at most LINK_PERSIST_BYTES; erased bytes read 0xFF. False if the memory
 * does not do it in a bounded time. */
bool persist_port_erase(uint32_t slot, uint32_t bytes);

/* Writes a unit that was erased before, at a multiple of its size. False if that fails or takes too long. */
bool persist_port_write(uint32_t slot, uint32_t offset, const uint8_t unit[PERSIST_UNIT_BYTES]);

void persist_port_read(uint32_t slot, uint32_t offset, uint8_t *bytes, uint32_t count);

#endif
