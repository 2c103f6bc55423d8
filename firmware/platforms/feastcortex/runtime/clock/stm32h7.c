/* STM32H742/743/753 from the internal 64 MHz oscillator: PLL1 in voltage scale 1, buses of 200 MHz, their
 * peripherals at a quarter of the core clock (reference manual RM0433, sections 4.3, 6.8 and 8.7). Scale 0 with
 * 480 MHz is not used: early revisions of the part do not have it. */
#include "clock.h"

#include "bits.h"
#include "board.h"

#define FLASH_ACR 0x52002000u
#define FLASH_ACR_2_WAIT_STATES_200_MHZ 0x22u
#define FLASH_ACR_ALL 0x3Fu
#define PWR_CR3 0x5802480Cu
#define PWR_CR3_BYPASS 0x1u
#define PWR_CR3_LDO 0x2u
#define PWR_D3CR 0x58024818u
#define PWR_D3CR_SCALE_1 FIELD(3u, 14)
#define PWR_D3CR_READY BIT(13)
#define RCC_CR 0x58024400u
#define RCC_CR_PLL1_ON BIT(24)
#define RCC_CR_PLL1_READY BIT(25)
#define RCC_CFGR 0x58024410u
#define RCC_CFGR_SWITCH 0x7u
#define RCC_CFGR_SWITCH_PLL1 0x3u
#define RCC_CFGR_STATUS 0x38u
#define RCC_CFGR_STATUS_PLL1 0x18u
#define RCC_D1CFGR 0x58024418u
#define RCC_D1CFGR_ALL 0xF7Fu
#define RCC_D1CFGR_BUS_BY_2_APB3_BY_2 0x48u
#define RCC_D2CFGR 0x5802441Cu
#define RCC_D2CFGR_ALL 0x770u
#define RCC_D2CFGR_APB1_APB2_BY_2 0x440u
#define RCC_D3CFGR 0x58024420u
#define RCC_D3CFGR_ALL 0x70u
#define RCC_D3CFGR_APB4_BY_2 0x40u
#define RCC_PLLCKSELR 0x58024428u
#define RCC_PLLCKSELR_PLL1_FIELDS 0x3F3u
#define RCC_PLLCKSELR_HSI_M_32 FIELD(32u, 4)
#define RCC_PLLCFGR 0x5802442Cu
#define RCC_PLLCFGR_PLL1_FIELDS 0x7000Fu
#define RCC_PLLCFGR_PLL1_P_INPUT_2_TO_4_MHZ 0x10004u
#define RCC_PLL1DIVR 0x58024430u

/* 64 MHz / 32 = 2 MHz into the PLL, times N, divided by 2 for the core. */
#define PLL_N (FEAST_CLOCK_HZ / 1000000u)
#define PLL_BY_2 1u
_Static_assert(FEAST_CLOCK_RESET_HZ == 64000000u, "the PLL settings are for the 64 MHz oscillator");
_Static_assert(FEAST_CLOCK_HZ % 1000000u == 0u && PLL_N >= 100u && PLL_N <= 400u, "no such core clock");

static bool power_and_flash_suffice(void)
{
    /* Writing the supply once, unchanged, is what unlocks the voltage scale. */
    mmio_update(PWR_CR3, PWR_CR3_BYPASS, PWR_CR3_LDO);
    mmio_update(PWR_D3CR, 0u, PWR_D3CR_SCALE_1);
    mmio_update(FLASH_ACR, FLASH_ACR_ALL, FLASH_ACR_2_WAIT_STATES_200_MHZ);
    return clock_reached(PWR_D3CR, PWR_D3CR_READY, PWR_D3CR_READY) &&
           clock_reached(FLASH_ACR, FLASH_ACR_ALL, FLASH_ACR_2_WAIT_STATES_200_MHZ);
}

static void divide_buses(uint32_t d1, uint32_t d2, uint32_t d3)
{
    mmio_update(RCC_D1CFGR, RCC_D1CFGR_ALL, d1);
    mmio_update(RCC_D2CFGR, RCC_D2CFGR_ALL, d2);
    mmio_update(RCC_D3CFGR, RCC_D3CFGR_ALL, d3);
}

bool clock_setup(void)
{
    mmio_update(RCC_PLLCKSELR, RCC_PLLCKSELR_PLL1_FIELDS, RCC_PLLCKSELR_HSI_M_32);
    mmio_update(RCC_PLLCFGR, RCC_PLLCFGR_PLL1_FIELDS, RCC_PLLCFGR_PLL1_P_INPUT_2_TO_4_MHZ);
    mmio_write(RCC_PLL1DIVR, (PLL_N - 1u) | FIELD(PLL_BY_2, 9) | FIELD(PLL_BY_2, 16) | FIELD(PLL_BY_2, 24));
    mmio_update(RCC_CR, 0u, RCC_CR_PLL1_ON);
    if (power_and_flash_suffice() && clock_reached(RCC_CR, RCC_CR_PLL1_READY, RCC_CR_PLL1_READY)) {
        divide_buses(RCC_D1CFGR_BUS_BY_2_APB3_BY_2, RCC_D2CFGR_APB1_APB2_BY_2, RCC_D3CFGR_APB4_BY_2);
        mmio_update(RCC_CFGR, RCC_CFGR_SWITCH, RCC_CFGR_SWITCH_PLL1);
        if (clock_reached(RCC_CFGR, RCC_CFGR_STATUS, RCC_CFGR_STATUS_PLL1)) {
            return true;
        }
        mmio_update(RCC_CFGR, RCC_CFGR_SWITCH, 0u);
        divide_buses(0u, 0u, 0u);
    }
    mmio_update(RCC_CR, RCC_CR_PLL1_ON, 0u);
    return false;
}
