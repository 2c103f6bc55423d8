/* Access to device registers, and to memory by its address. Here alone an integer becomes a pointer or a pointer an
 * integer. A test on the host puts its own mmio.h first on the include path. */
#ifndef FEAST_MMIO_H
#define FEAST_MMIO_H

#include <stdint.h>

static inline uint32_t mmio_read(uint32_t address)
{
    /* cppcheck-suppress misra-c2012-11.4 ; a register is what lies at its address */
    return *(volatile const uint32_t *)address;
}

/* Inlined even in a debug build: start-up fills the stack with it, where a call would have its frame. */
__attribute__((always_inline)) static inline void mmio_write(uint32_t address, uint32_t value)
{
    /* cppcheck-suppress misra-c2012-11.4 ; a register is what lies at its address */
    *(volatile uint32_t *)address = value;
}

/* Where a symbol of the linker lies. */
static inline uint32_t mmio_address(const uint32_t *symbol)
{
    /* cppcheck-suppress misra-c2012-11.4 ; what link.ld says of a symbol is its address */
    return (uint32_t)symbol;
}

/* Clears the bits of `clear`, sets those of `set`, and reads back, which also waits for the write. */
static inline void mmio_update(uint32_t address, uint32_t clear, uint32_t set)
{
    mmio_write(address, (mmio_read(address) & ~clear) | set);
    (void)mmio_read(address);
}

#endif
