/* Vector table and reset: from the first instruction to main. */
#include "runtime.h"

#include "board.h"
#include "cortex.h"
#include "mmio.h"

extern int main(void);

/* Of the external interrupts only that of the UART is ever enabled, so the table ends with it, except in a
 * build with a driver of the user's own, which may enable any. */
#ifndef FEAST_DRIVER
#define INTERRUPTS (FEAST_UART_IRQ + 1u)
#elif defined(__ARM_ARCH_6M__)
#define INTERRUPTS 32u
#else
#define INTERRUPTS 240u
#endif

typedef void (*handler_t)(void);

/* ARMv6-M takes every fault as a HardFault; the others escalate to it, being disabled. */
typedef struct {
    const uint32_t *stack;
    handler_t reset;
    handler_t nmi;
    handler_t hard_fault;
    handler_t not_enabled[12]; /* the other exceptions of the core */
    handler_t external[INTERRUPTS];
} vectors_t;

__attribute__((section(".vectors"), used)) static const vectors_t vectors = {
    .stack = &feast_stack_top,
    .reset = reset_handler,
    .nmi = fault_handler,
    .hard_fault = fault_handler,
#ifdef FEAST_DRIVER
    .external = {[0 ... INTERRUPTS - 1u] = driver_handler},
#else
    .external = {[FEAST_UART_IRQ] = uart_handler},
#endif
};

void reset_handler(void)
{
    uint32_t stack_pointer;
    __asm volatile("mov %0, sp" : "=r"(stack_pointer));
    for (uint32_t at = STACK_BOTTOM; at < stack_pointer; at += 4u) {
        mmio_write(at, STACK_PAINT);
    }
    const uint32_t data = mmio_address(&feast_data_start);
    const uint32_t data_bytes = mmio_address(&feast_data_end) - data;
    const uint32_t load = mmio_address(&feast_data_load);
    for (uint32_t i = 0; i < data_bytes; i += 4u) {
        mmio_write(data + i, mmio_read(load + i));
    }
    const uint32_t bss_end = mmio_address(&feast_bss_end);
    for (uint32_t at = mmio_address(&feast_bss_start); at < bss_end; at += 4u) {
        mmio_write(at, 0u);
    }
    mmio_write(SCB_VTOR, mmio_address(&feast_vectors));
#if defined(__ARM_FEATURE_MVE) || defined(__ARM_FP)
    mmio_update(SCB_CPACR, 0u, SCB_CPACR_VECTORS);
    __asm volatile("dsb\n\tisb" ::: "memory");
#endif
#ifdef FEAST_INSTRUCTION_CACHE
    mmio_write(SCB_ICIALLU, 0u);
    __asm volatile("dsb\n\tisb" ::: "memory");
    mmio_update(SCB_CCR, 0u, SCB_CCR_INSTRUCTION_CACHE);
    __asm volatile("dsb\n\tisb" ::: "memory");
#endif
    (void)main();
    for (;;) {
        __asm volatile("wfi");
    }
}
