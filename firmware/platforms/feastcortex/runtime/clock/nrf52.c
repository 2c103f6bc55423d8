/* nRF52: the core has its 64 MHz from the first instruction; what is waited for is the crystal, without which the
 * clock, and the baud rate with it, is only good to some per cent (nRF52840 product specification, sections 5.4 and
 * 4.3.6). The instruction cache is switched on: the flash has two wait states. */
#include "clock.h"

#include "board.h"

#define CLOCK_HFCLKSTART 0x40000000u
#define CLOCK_HFCLKSTARTED 0x40000100u
#define CLOCK_HFCLKSTAT 0x4000040Cu
#define CLOCK_HFCLKSTAT_CRYSTAL_RUNS 0x10001u
#define NVMC_ICACHECNF 0x4001E540u
#define NVMC_ICACHECNF_ON 0x1u

_Static_assert(FEAST_CLOCK_HZ == 64000000u && FEAST_CLOCK_RESET_HZ == 64000000u, "the core always runs at 64 MHz");

bool clock_setup(void)
{
    mmio_write(NVMC_ICACHECNF, NVMC_ICACHECNF_ON);
    mmio_write(CLOCK_HFCLKSTARTED, 0u);
    mmio_write(CLOCK_HFCLKSTART, 1u);
    return clock_reached(CLOCK_HFCLKSTARTED, 0x1u, 0x1u) &&
           clock_reached(CLOCK_HFCLKSTAT, CLOCK_HFCLKSTAT_CRYSTAL_RUNS, CLOCK_HFCLKSTAT_CRYSTAL_RUNS);
}
