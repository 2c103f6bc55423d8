/* Flash of the STM32F4, programmed a word at a time, which takes 2.7 V or more (reference manuals RM0090, section 3,
 * and RM0390, section 3). Sectors: four of 16 KB, one of 64 KB, then 128 KB each; parts of one bank. While a sector is
 * erased, the core waits for its next instruction unless that is in the cache. */
#include "flash.h"

#include "bits.h"

#define FLASH_ACR 0x40023C00u
#define FLASH_KEYR 0x40023C04u
#define FLASH_SR 0x40023C0Cu
#define FLASH_SR_ERRORS 0xF2u /* writing 1 clears them */
#define FLASH_CR 0x40023C10u
#define FLASH_CR_WORDS FIELD(2u, 8)
#define FLASH_ORIGIN 0x08000000u
#define FLASH_ACR_DATA_CACHE BIT(10)
#define FLASH_ACR_EMPTY_DATA_CACHE BIT(12)
#define FLASH_SR_BUSY BIT(16)
#define FLASH_CR_PROGRAM 0x1u
#define FLASH_CR_ERASE 0x2u
#define FLASH_CR_ERASE_AT 3u /* which sector */
#define FLASH_CR_START BIT(16)
#define FLASH_CR_LOCK BIT(31)

#define FIRST_LARGE_SECTOR 5u
#define LARGE_SECTOR_BYTES 0x20000u
_Static_assert(FEAST_PERSIST_PAGE_BYTES == LARGE_SECTOR_BYTES, "the two slots are sectors of 128 KB");
_Static_assert(FEAST_PERSIST_ORIGIN >= FLASH_ORIGIN + LARGE_SECTOR_BYTES, "behind the small sectors");

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

bool flash_erase(uint32_t address)
{
    const uint32_t sector = FIRST_LARGE_SECTOR - 1u + (address - FLASH_ORIGIN) / LARGE_SECTOR_BYTES;
    bool done = unlock();
    if (done) {
        const uint32_t order = FLASH_CR_WORDS | FLASH_CR_ERASE | FIELD(sector, FLASH_CR_ERASE_AT);
        mmio_write(FLASH_CR, order);
        mmio_write(FLASH_CR, order | FLASH_CR_START);
        done = is_done();
    }
    lock();
    return done;
}

bool flash_write(uint32_t address, const uint32_t *words, uint32_t count)
{
    bool done = unlock();
    if (done) {
        mmio_write(FLASH_CR, FLASH_CR_WORDS | FLASH_CR_PROGRAM);
        for (uint32_t i = 0; i < count && done; i++) {
            mmio_write(address + 4u * i, words[i]);
            done = is_done();
        }
    }
    lock();
    return done;
}
