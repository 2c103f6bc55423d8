/* Flash of nRF51 and nRF52 (nRF51 reference manual, chapter 6; nRF52840 product specification, section 4.3). The core
 * stands still while a page is erased and while a word is written. */
#include "flash.h"

#define NVMC_READY 0x4001E400u
#define NVMC_READY_YES 0x1u
#define NVMC_CONFIG 0x4001E504u
#define NVMC_CONFIG_READ 0u
#define NVMC_CONFIG_WRITE 1u
#define NVMC_CONFIG_ERASE 2u
#define NVMC_ERASEPAGE 0x4001E508u

static bool is_ready(void)
{
    return flash_reached(NVMC_READY, NVMC_READY_YES, NVMC_READY_YES);
}

bool flash_erase(uint32_t address)
{
    mmio_write(NVMC_CONFIG, NVMC_CONFIG_ERASE);
    bool done = is_ready();
    if (done) {
        mmio_write(NVMC_ERASEPAGE, address);
        done = is_ready();
    }
    mmio_write(NVMC_CONFIG, NVMC_CONFIG_READ);
    return done;
}

bool flash_write(uint32_t address, const uint32_t *words, uint32_t count)
{
    mmio_write(NVMC_CONFIG, NVMC_CONFIG_WRITE);
    bool done = is_ready();
    for (uint32_t i = 0; i < count && done; i++) {
        mmio_write(address + 4u * i, words[i]);
        done = is_ready();
    }
    mmio_write(NVMC_CONFIG, NVMC_CONFIG_READ);
    return done;
}
