/* What the flash controllers of STM32F4 and STM32L4 have in common. The file that includes this defines the addresses
 * of FLASH_ACR, FLASH_KEYR, FLASH_SR and FLASH_CR, and FLASH_SR_ERRORS, the errors, which writing 1 clears. */
#ifndef FEAST_FLASH_STM32_H
#define FEAST_FLASH_STM32_H

#include "flash.h"

#define FLASH_ORIGIN 0x08000000u
#define FLASH_ACR_DATA_CACHE (1u << 10)
#define FLASH_ACR_EMPTY_DATA_CACHE (1u << 12)
#define FLASH_SR_BUSY (1u << 16)
#define FLASH_CR_PROGRAM 0x1u
#define FLASH_CR_ERASE 0x2u
#define FLASH_CR_ERASE_AT 3u /* which sector or page */
#define FLASH_CR_START (1u << 16)
#define FLASH_CR_LOCK (1u << 31)

static bool is_idle(void)
{
    return flash_reached(FLASH_SR, FLASH_SR_BUSY, 0u);
}

static bool is_done(void)
{
    return is_idle() && (mmio_read(FLASH_SR) & FLASH_SR_ERRORS) == 0u;
}

/* False if something is under way that does not end, or the keys do not fit. */
static bool unlock(void)
{
    if (!is_idle()) {
        return false;
    }
    if ((mmio_read(FLASH_CR) & FLASH_CR_LOCK) != 0u) { /* keys it does not expect would lock it until a reset */
        mmio_write(FLASH_KEYR, 0x45670123u);
        mmio_write(FLASH_KEYR, 0xCDEF89ABu);
    }
    mmio_write(FLASH_SR, FLASH_SR_ERRORS);
    return (mmio_read(FLASH_CR) & FLASH_CR_LOCK) == 0u;
}

/* Also empties the data cache, which does not know of what was written, and may be emptied only while it is off.
 * A controller that is still busy is left alone: writing its FLASH_CR would halt the bus until it is done. */
static void lock(void)
{
    if ((mmio_read(FLASH_SR) & FLASH_SR_BUSY) == 0u) {
        mmio_write(FLASH_CR, FLASH_CR_LOCK);
    }
    const uint32_t cache = mmio_read(FLASH_ACR) & FLASH_ACR_DATA_CACHE;
    mmio_update(FLASH_ACR, FLASH_ACR_DATA_CACHE, 0u);
    mmio_update(FLASH_ACR, 0u, FLASH_ACR_EMPTY_DATA_CACHE);
    mmio_update(FLASH_ACR, FLASH_ACR_EMPTY_DATA_CACHE, cache);
}

/* `order`: what else FLASH_CR must say. */
static bool erase(uint32_t number, uint32_t order)
{
    bool done = unlock();
    if (done) {
        order |= FLASH_CR_ERASE | (number << FLASH_CR_ERASE_AT);
        mmio_write(FLASH_CR, order);
        mmio_write(FLASH_CR, order | FLASH_CR_START);
        done = is_done();
    }
    lock();
    return done;
}

/* Writes `together` words before it waits for them. */
static bool program(uint32_t address, const uint32_t *words, uint32_t count, uint32_t together, uint32_t order)
{
    bool done = unlock();
    if (done) {
        mmio_write(FLASH_CR, order | FLASH_CR_PROGRAM);
        for (uint32_t i = 0; i < count && done; i++) {
            mmio_write(address + 4u * i, words[i]);
            if ((i + 1u) % together == 0u) {
                done = is_done();
            }
        }
    }
    lock();
    return done;
}

#endif
