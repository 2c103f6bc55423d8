/* STM32L4 from its internal 16 MHz oscillator instead of the 4 MHz one it starts on: PLL, buses undivided
 * (reference manual RM0351, sections 3.3 and 6.2). Voltage range 1, as after reset, allows 80 MHz. */
#include "clock.h"

#include "bits.h"
#include "board.h"

#define FLASH_ACR 0x40022000u
#define FLASH_ACR_CACHES_4_WAIT_STATES 0x704u
#define FLASH_ACR_LATENCY 0x7u
#define RCC_CR 0x40021000u
#define RCC_CR_HSI_ON BIT(8)
#define RCC_CR_HSI_READY BIT(10)
#define RCC_CR_PLL_ON BIT(24)
#define RCC_CR_PLL_READY BIT(25)
#define RCC_CFGR 0x40021008u
#define RCC_CFGR_SWITCH 0x3u
#define RCC_CFGR_SWITCH_PLL 0x3u
#define RCC_CFGR_STATUS 0xCu
#define RCC_CFGR_STATUS_PLL 0xCu
#define RCC_PLLCFGR 0x4002100Cu
#define RCC_PLLCFGR_HSI_M_1 0x2u
#define RCC_PLLCFGR_R_ON_BY_2 BIT(24)

/* 16 MHz times N, divided by 2 for the core. */
#define PLL_N (2u * (FEAST_CLOCK_HZ / 16000000u))
_Static_assert(FEAST_CLOCK_RESET_HZ == 4000000u, "the oscillator it starts on has 4 MHz");
_Static_assert(FEAST_CLOCK_HZ % 16000000u == 0u && PLL_N >= 8u && PLL_N <= 10u, "no such core clock");

bool clock_setup(void)
{
    mmio_update(RCC_CR, 0u, RCC_CR_HSI_ON);
    if (clock_reached(RCC_CR, RCC_CR_HSI_READY, RCC_CR_HSI_READY)) {
        mmio_write(RCC_PLLCFGR, RCC_PLLCFGR_HSI_M_1 | FIELD(PLL_N, 8) | RCC_PLLCFGR_R_ON_BY_2);
        mmio_update(RCC_CR, 0u, RCC_CR_PLL_ON);
        mmio_write(FLASH_ACR, FLASH_ACR_CACHES_4_WAIT_STATES);
        if (clock_reached(RCC_CR, RCC_CR_PLL_READY, RCC_CR_PLL_READY) &&
            clock_reached(FLASH_ACR, FLASH_ACR_LATENCY, FLASH_ACR_CACHES_4_WAIT_STATES & FLASH_ACR_LATENCY)) {
            mmio_update(RCC_CFGR, RCC_CFGR_SWITCH, RCC_CFGR_SWITCH_PLL);
            if (clock_reached(RCC_CFGR, RCC_CFGR_STATUS, RCC_CFGR_STATUS_PLL)) {
                return true;
            }
            mmio_update(RCC_CFGR, RCC_CFGR_SWITCH, 0u);
        }
    }
    mmio_update(RCC_CR, RCC_CR_PLL_ON, 0u);
    return false;
}
