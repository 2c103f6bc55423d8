/* STM32F4 from the internal 16 MHz oscillator: PLL, APB1 at a quarter and APB2 at half of the core clock
 * (reference manuals RM0090, sections 3.5, 5.4 and 6.3, and RM0390, sections 3.4, 5.4 and 6.3). The internal
 * oscillator needs no crystal, whose frequency differs from board to board, and its 1 % is within what a UART
 * tolerates. Above 168 MHz the regulator needs its over-drive mode, which the STM32F446 has. */
#include "clock.h"

#include "bits.h"
#include "board.h"

#define FLASH_ACR 0x40023C00u
#define FLASH_ACR_CACHES_5_WAIT_STATES 0x705u
#define FLASH_ACR_LATENCY 0x7u
#define PWR_CR 0x40007000u
#define PWR_CR_OVERDRIVE BIT(16)
#define PWR_CR_OVERDRIVE_SWITCH BIT(17)
#define PWR_CSR 0x40007004u
#define PWR_CSR_OVERDRIVE_READY BIT(16)
#define PWR_CSR_OVERDRIVE_SWITCHED BIT(17)
#define RCC_CR 0x40023800u
#define RCC_CR_PLL_ON BIT(24)
#define RCC_CR_PLL_READY BIT(25)
#define RCC_PLLCFGR 0x40023804u
#define RCC_PLLCFGR_R_2 FIELD(2u, 28) /* what the STM32F446 resets to; reserved elsewhere */
#define RCC_CFGR 0x40023808u
#define RCC_CFGR_SWITCH 0x3u
#define RCC_CFGR_SWITCH_PLL 0x2u
#define RCC_CFGR_STATUS 0xCu
#define RCC_CFGR_STATUS_PLL 0x8u
#define RCC_CFGR_PRESCALERS 0xFCF0u
#define RCC_CFGR_APB1_BY_4 FIELD(5u, 10)
#define RCC_CFGR_APB2_BY_2 FIELD(4u, 13)
#define RCC_APB1ENR 0x40023840u
#define RCC_APB1ENR_PWR BIT(28)

#define NORMAL_DRIVE_MAX_HZ 168000000u

/* 16 MHz / 16 = 1 MHz into the PLL, times N, divided by 2 for the core. Q gives 48 MHz or less. */
#define PLL_N (2u * (FEAST_CLOCK_HZ / 1000000u))
#define PLL_Q ((PLL_N + 47u) / 48u)
_Static_assert(FEAST_CLOCK_RESET_HZ == 16000000u, "the PLL settings are for the 16 MHz oscillator");
_Static_assert(FEAST_CLOCK_HZ % 1000000u == 0u && PLL_N >= 192u && PLL_N <= 360u, "no such core clock");

/* True once the regulator can drive the core at its full clock, which most parts do at once. */
static bool power_suffices(void)
{
    if (FEAST_CLOCK_HZ <= NORMAL_DRIVE_MAX_HZ) {
        return true;
    }
    mmio_update(RCC_APB1ENR, 0u, RCC_APB1ENR_PWR);
    mmio_update(PWR_CR, 0u, PWR_CR_OVERDRIVE);
    if (!clock_reached(PWR_CSR, PWR_CSR_OVERDRIVE_READY, PWR_CSR_OVERDRIVE_READY)) {
        return false;
    }
    mmio_update(PWR_CR, 0u, PWR_CR_OVERDRIVE_SWITCH);
    return clock_reached(PWR_CSR, PWR_CSR_OVERDRIVE_SWITCHED, PWR_CSR_OVERDRIVE_SWITCHED);
}

bool clock_setup(void)
{
    mmio_write(RCC_PLLCFGR, 16u | FIELD(PLL_N, 6) | FIELD(PLL_Q, 24) | RCC_PLLCFGR_R_2);
    mmio_update(RCC_CR, 0u, RCC_CR_PLL_ON);
    mmio_write(FLASH_ACR, FLASH_ACR_CACHES_5_WAIT_STATES);
    if (clock_reached(RCC_CR, RCC_CR_PLL_READY, RCC_CR_PLL_READY) && power_suffices() &&
        clock_reached(FLASH_ACR, FLASH_ACR_LATENCY, FLASH_ACR_CACHES_5_WAIT_STATES & FLASH_ACR_LATENCY)) {
        mmio_update(RCC_CFGR, RCC_CFGR_PRESCALERS, RCC_CFGR_APB1_BY_4 | RCC_CFGR_APB2_BY_2);
        mmio_update(RCC_CFGR, RCC_CFGR_SWITCH, RCC_CFGR_SWITCH_PLL);
        if (clock_reached(RCC_CFGR, RCC_CFGR_STATUS, RCC_CFGR_STATUS_PLL)) {
            return true;
        }
        mmio_update(RCC_CFGR, RCC_CFGR_SWITCH | RCC_CFGR_PRESCALERS, 0u);
    }
    mmio_update(RCC_CR, RCC_CR_PLL_ON, 0u);
    return false;
}
