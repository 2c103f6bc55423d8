/* A stand-in for flash: memory of an FPGA board, or of its emulator, that keeps what it holds over a reset, but not
 * over a loss of power. It erases and writes as flash does, so that what uses it is the same. */
#include "flash.h"

bool flash_erase(uint32_t address)
{
    for (uint32_t at = 0; at < FEAST_PERSIST_PAGE_BYTES; at += 4u) {
        mmio_write(address + at, 0xFFFFFFFFu);
    }
    return true;
}

bool flash_write(uint32_t address, const uint32_t *words, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        mmio_write(address + 4u * i, mmio_read(address + 4u * i) & words[i]);
    }
    return true;
}
