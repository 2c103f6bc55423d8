/* STM32F405/407/415/417 from the internal 16 MHz oscillator: PLL, APB1 at a quarter and APB2 at half of the
 * core clock (reference manual RM0090, sections 3.5, 5.4 and 6.3). The internal oscillator needs no crystal,
 * whose frequency differs from board to board, and its 1 % is within what a UART tolerates. */
#include "clock.h"

#include "board.h"
#include "mmio.h"

#define FLASH_ACR 0x40023C00u
#define FLASH_ACR_CACHES_5_WAIT_STATES 0x705u
#define FLASH_ACR_LATENCY 0x7u
#define RCC_CR 0x40023800u
#define RCC_CR_PLL_ON (1u << 24)
#define RCC_CR_PLL_READY (1u << 25)
#define RCC_PLLCFGR 0x40023804u
#define RCC_CFGR 0x40023808u
#define RCC_CFGR_SWITCH 0x3u
#define RCC_CFGR_SWITCH_PLL 0x2u
#define RCC_CFGR_STATUS 0xCu
#define RCC_CFGR_STATUS_PLL 0x8u
#define RCC_CFGR_PRESCALERS 0xFCF0u
#define RCC_CFGR_APB1_BY_4 (5u << 10)
#define RCC_CFGR_APB2_BY_2 (4u << 13)

/* 16 MHz / 16 = 1 MHz into the PLL, times N, divided by 2 for the core. Q gives 48 MHz or less. */
#define PLL_N (2u * (FEAST_CLOCK_HZ / 1000000u))
#define PLL_Q ((PLL_N + 47u) / 48u)
_Static_assert(FEAST_CLOCK_RESET_HZ == 16000000u, "the PLL settings are for the 16 MHz oscillator");
_Static_assert(FEAST_CLOCK_HZ % 1000000u == 0u && PLL_N >= 192u && PLL_N <= 336u, "no such core clock");

/* The PLL locks within 300 us, 4,800 cycles: this is many times as long. */
#define POLLS 20000u

static bool reached(uint32_t address, uint32_t mask, uint32_t wanted)
{
    for (uint32_t poll = 0; poll < POLLS; poll++) {
        if ((mmio_read(address) & mask) == wanted) {
            return true;
        }
    }
    return false;
}

bool clock_setup(void)
{
    mmio_write(RCC_PLLCFGR, 16u | (PLL_N << 6) | (PLL_Q << 24));
    mmio_update(RCC_CR, 0u, RCC_CR_PLL_ON);
    mmio_write(FLASH_ACR, FLASH_ACR_CACHES_5_WAIT_STATES);
    if (reached(RCC_CR, RCC_CR_PLL_READY, RCC_CR_PLL_READY) &&
        reached(FLASH_ACR, FLASH_ACR_LATENCY, FLASH_ACR_CACHES_5_WAIT_STATES & FLASH_ACR_LATENCY)) {
        mmio_update(RCC_CFGR, RCC_CFGR_PRESCALERS, RCC_CFGR_APB1_BY_4 | RCC_CFGR_APB2_BY_2);
        mmio_update(RCC_CFGR, RCC_CFGR_SWITCH, RCC_CFGR_SWITCH_PLL);
        if (reached(RCC_CFGR, RCC_CFGR_STATUS, RCC_CFGR_STATUS_PLL)) {
            return true;
        }
        mmio_update(RCC_CFGR, RCC_CFGR_SWITCH | RCC_CFGR_PRESCALERS, 0u);
    }
    mmio_update(RCC_CR, RCC_CR_PLL_ON, 0u);
    return false;
}
