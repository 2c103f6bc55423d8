/* port.h on a Cortex-M: clock, SysTick as tick counter, sleep, stack gauge. */
#include "port.h"
#include "runtime.h"

#include "board.h"
#include "clock.h"
#include "cortex.h"
#include "mmio.h"
#include "serial.h"

static uint32_t clock_hz;
static bool fallback;

void port_init(void)
{
    fallback = !clock_setup();
    clock_hz = fallback ? FEAST_CLOCK_RESET_HZ : FEAST_CLOCK_HZ;
    mmio_write(SYST_RVR, PORT_TICK_MASK);
    mmio_write(SYST_CVR, 0u);
    mmio_write(SYST_CSR, SYST_CSR_ENABLE | SYST_CSR_CORE_CLOCK);
    serial_setup(clock_hz, fallback);
}

/* Until someone defines it. */
__attribute__((weak)) void port_watchdog(void)
{
}

void port_idle(void)
{
    /* With interrupts masked a pending one still ends wfi, so a byte that arrives between the test and
     * the wait is not slept through. SysTick, pending after a wrap, ends it too and is then taken back. */
    __asm volatile("cpsid i" ::: "memory");
    if (!serial_waiting()) {
        mmio_write(SYST_CSR, SYST_CSR_ENABLE | SYST_CSR_CORE_CLOCK | SYST_CSR_INTERRUPT);
        __asm volatile("dsb\n\twfi" ::: "memory");
        mmio_write(SYST_CSR, SYST_CSR_ENABLE | SYST_CSR_CORE_CLOCK);
        mmio_write(SCB_ICSR, SCB_ICSR_CLEAR_SYSTICK);
    }
    __asm volatile("cpsie i\n\tisb" ::: "memory");
}

uint32_t port_ticks(void)
{
    __asm volatile("cpsid i" ::: "memory");
    const uint32_t ticks = 0u - mmio_read(SYST_CVR) - serial_interrupt_ticks();
    __asm volatile("cpsie i" ::: "memory");
    return ticks & PORT_TICK_MASK;
}

uint32_t port_tick_hz(void)
{
    return clock_hz;
}

uint32_t port_clock_hz(void)
{
    return clock_hz;
}

bool port_clock_fallback(void)
{
    return fallback;
}

uint32_t port_stack_bytes(void)
{
    return STACK_TOP - STACK_BOTTOM;
}

uint32_t port_stack_used(void)
{
    uint32_t at = STACK_BOTTOM;
    while (at < STACK_TOP && mmio_read(at) == STACK_PAINT) {
        at += 4u;
    }
    return STACK_TOP - at;
}
