/* Where the RP2350 has what rp2.h sets up. */
#define RESETS_BASE 0x40020000u
#define RESETS_PLL_SYS BIT(14)
#define XOSC_BASE 0x40048000u
#define PLL_BASE 0x40050000u
#define CLOCKS_BASE 0x40010000u

#include "rp2.h"
