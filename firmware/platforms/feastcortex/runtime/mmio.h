/* Access to device registers. A test on the host puts its own mmio.h first on the include path. */
#ifndef FEAST_MMIO_H
#define FEAST_MMIO_H

#include <stdint.h>

static inline uint32_t mmio_read(uint32_t address)
{
    return *(volatile const uint32_t *)address;
}

static inline void mmio_write(uint32_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

/* Clears the bits of `clear`, sets those of `set`, and reads back, which also waits for the write. */
static inline void mmio_update(uint32_t address, uint32_t clear, uint32_t set)
{
    mmio_write(address, (mmio_read(address) & ~clear) | set);
    (void)mmio_read(address);
}

#endif
