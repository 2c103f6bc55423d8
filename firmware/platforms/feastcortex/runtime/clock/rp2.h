/* RP2040 and RP2350: PLL for the core from the 12 MHz crystal of the board, the same clock for the UART. rp2040.c and
 * rp2350.c include this behind the base addresses and the reset bit in which the two differ (RP2040 data sheet,
 * sections 2.14 to 2.18; RP2350 data sheet, sections 7.5 and 8.1 to 8.6).
 *
 * The chip starts on a ring oscillator of roughly 6 MHz, too far off for a UART. So the clock to fall back to is the
 * crystal without the PLL; only if the crystal does not start, the ring oscillator goes on. */
#ifndef FEAST_CLOCK_RP2_H
#define FEAST_CLOCK_RP2_H

#include "clock.h"

#include "bits.h"
#include "board.h"

#define RESETS (RESETS_BASE + 0x00u)
#define RESETS_DONE (RESETS_BASE + 0x08u)
#define XOSC_CTRL (XOSC_BASE + 0x00u)
#define XOSC_CTRL_ON_1_TO_15_MHZ 0xFABAA0u
#define XOSC_STATUS (XOSC_BASE + 0x04u)
#define XOSC_STATUS_STABLE BIT(31)
#define XOSC_STARTUP (XOSC_BASE + 0x0Cu)
#define XOSC_STARTUP_1_MS 47u /* in 256 periods */
#define PLL_CS (PLL_BASE + 0x00u)
#define PLL_CS_LOCKED BIT(31)
#define PLL_PWR (PLL_BASE + 0x04u)
#define PLL_PWR_CORE_AND_VCO_DOWN 0x21u
#define PLL_PWR_DIVIDERS_DOWN 0x8u
#define PLL_FBDIV (PLL_BASE + 0x08u)
#define PLL_PRIM (PLL_BASE + 0x0Cu)
#define CLK_REF_CTRL (CLOCKS_BASE + 0x30u)
#define CLK_REF_CTRL_SOURCE 0x3u
#define CLK_REF_CTRL_CRYSTAL 0x2u
#define CLK_REF_SELECTED (CLOCKS_BASE + 0x38u)
#define CLK_REF_SELECTED_CRYSTAL 0x4u
#define CLK_SYS_CTRL (CLOCKS_BASE + 0x3Cu)
#define CLK_SYS_CTRL_SOURCE 0x1u
#define CLK_SYS_CTRL_AUXILIARY 0xE0u /* 0: the PLL */
#define CLK_SYS_SELECTED (CLOCKS_BASE + 0x44u)
#define CLK_PERI_CTRL (CLOCKS_BASE + 0x48u)
#define CLK_PERI_CTRL_SYS_ON 0x800u

/* The VCO runs at 12 MHz times 125; its two dividers give the core clock. */
#define VCO_HZ 1500000000u
#define DIVIDE_2 2u
#define DIVIDE_1 (VCO_HZ / DIVIDE_2 / FEAST_CLOCK_HZ)
_Static_assert(FEAST_CLOCK_RESET_HZ == 12000000u, "the crystal has 12 MHz");
_Static_assert(DIVIDE_1 >= 2u && DIVIDE_1 <= 7u && VCO_HZ == FEAST_CLOCK_HZ * DIVIDE_1 * DIVIDE_2, "no such core clock");

static bool crystal_runs(void)
{
    mmio_write(XOSC_STARTUP, XOSC_STARTUP_1_MS);
    mmio_write(XOSC_CTRL, XOSC_CTRL_ON_1_TO_15_MHZ);
    if (!clock_reached(XOSC_STATUS, XOSC_STATUS_STABLE, XOSC_STATUS_STABLE)) {
        return false;
    }
    mmio_update(CLK_REF_CTRL, CLK_REF_CTRL_SOURCE, CLK_REF_CTRL_CRYSTAL);
    return clock_reached(CLK_REF_SELECTED, CLK_REF_SELECTED_CRYSTAL, CLK_REF_SELECTED_CRYSTAL);
}

static bool pll_runs(void)
{
    mmio_update(RESETS, 0u, RESETS_PLL_SYS);
    mmio_update(RESETS, RESETS_PLL_SYS, 0u);
    if (!clock_reached(RESETS_DONE, RESETS_PLL_SYS, RESETS_PLL_SYS)) {
        return false;
    }
    mmio_write(PLL_CS, 1u);
    mmio_write(PLL_FBDIV, 125u);
    mmio_update(PLL_PWR, PLL_PWR_CORE_AND_VCO_DOWN, 0u);
    if (!clock_reached(PLL_CS, PLL_CS_LOCKED, PLL_CS_LOCKED)) {
        return false;
    }
    mmio_write(PLL_PRIM, FIELD(DIVIDE_1, 16) | FIELD(DIVIDE_2, 12));
    mmio_update(PLL_PWR, PLL_PWR_DIVIDERS_DOWN, 0u);
    return true;
}

/* clk_sys may only change between clk_ref, source 0, and its auxiliary source, 1, without a glitch. */
static bool switch_core(uint32_t source)
{
    mmio_update(CLK_SYS_CTRL, CLK_SYS_CTRL_SOURCE, source);
    return clock_reached(CLK_SYS_SELECTED, BIT(source), BIT(source));
}

bool clock_setup(void)
{
    bool done = crystal_runs() && switch_core(0u) && pll_runs();
    if (done) {
        mmio_update(CLK_SYS_CTRL, CLK_SYS_CTRL_AUXILIARY, 0u);
        done = switch_core(1u);
        if (!done) {
            (void)switch_core(0u);
        }
    }
    mmio_write(CLK_PERI_CTRL, CLK_PERI_CTRL_SYS_ON);
    return done;
}

#endif
