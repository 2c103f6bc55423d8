/* Stands in for the runtime's mmio.h: every access goes to functions that a test provides. */
#ifndef FEAST_MMIO_H
#define FEAST_MMIO_H

#include <stdint.h>

extern uint32_t (*mock_read)(uint32_t address);
extern void (*mock_write)(uint32_t address, uint32_t value);

static inline uint32_t mmio_read(uint32_t address)
{
    return mock_read(address);
}

static inline void mmio_write(uint32_t address, uint32_t value)
{
    mock_write(address, value);
}

static inline void mmio_update(uint32_t address, uint32_t clear, uint32_t set)
{
    mmio_write(address, (mmio_read(address) & ~clear) | set);
    (void)mmio_read(address);
}

#endif
