/* Where the RP2040 has what rp2.h sets up. */
#define RESETS_BASE 0x4000C000u
#define RESETS_PLL_SYS BIT(12)
#define XOSC_BASE 0x40024000u
#define PLL_BASE 0x40028000u
#define CLOCKS_BASE 0x40008000u

#include "rp2.h"
