/* Flash of the STM32L4 with two banks, programmed 64 bits at a time (reference manual RM0351, section 3). A page of
 * 2 KB is erased in 25 ms; the core waits only for instructions from the bank that is erased. */

#define FLASH_ACR 0x40022000u
#define FLASH_KEYR 0x40022008u
#define FLASH_SR 0x40022010u
#define FLASH_SR_ERRORS 0xC3FAu
#define FLASH_CR 0x40022014u
#define FLASH_CR_BANK_2 (1u << 11)
#include "stm32.h"

#define PAGE_BYTES 2048u
#define PAGES_OF_BANK 256u
_Static_assert(FEAST_STORE_PAGE_BYTES == PAGE_BYTES, "pages of 2 KB");

bool flash_erase(uint32_t address)
{
    const uint32_t page = (address - FLASH_ORIGIN) / PAGE_BYTES;
    return erase(page % PAGES_OF_BANK, page < PAGES_OF_BANK ? 0u : FLASH_CR_BANK_2);
}

bool flash_write(uint32_t address, const uint32_t *words, uint32_t count)
{
    return program(address, words, count, 2u, 0u);
}
