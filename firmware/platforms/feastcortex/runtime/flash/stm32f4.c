/* Flash of the STM32F4, programmed a word at a time, which takes 2.7 V or more (reference manuals RM0090, section 3,
 * and RM0390, section 3). Sectors: four of 16 KB, one of 64 KB, then 128 KB each; parts of one bank. While a sector is
 * erased, 1 to 4 s, the core waits for its next instruction unless that is in the cache. */

#define FLASH_ACR 0x40023C00u
#define FLASH_KEYR 0x40023C04u
#define FLASH_SR 0x40023C0Cu
#define FLASH_SR_ERRORS 0xF2u
#define FLASH_CR 0x40023C10u
#define FLASH_CR_WORDS (2u << 8)
#include "stm32.h"

#define FIRST_LARGE_SECTOR 5u
#define LARGE_SECTOR_BYTES 0x20000u
_Static_assert(FEAST_STORE_PAGE_BYTES == LARGE_SECTOR_BYTES, "the store is in sectors of 128 KB");
_Static_assert(FEAST_STORE_ORIGIN >= FLASH_ORIGIN + LARGE_SECTOR_BYTES, "behind the small sectors");

bool flash_erase(uint32_t address)
{
    const uint32_t sector = FIRST_LARGE_SECTOR - 1u + (address - FLASH_ORIGIN) / LARGE_SECTOR_BYTES;
    return erase(sector, FLASH_CR_WORDS);
}

bool flash_write(uint32_t address, const uint32_t *words, uint32_t count)
{
    return program(address, words, count, 1u, FLASH_CR_WORDS);
}
