/* Vector table and reset: from the first instruction to main. */
#include "runtime.h"

#include "board.h"
#include "cortex.h"
#include "mmio.h"

extern uint32_t feast_data_start[], feast_data_end[], feast_data_load[];
extern uint32_t feast_bss_start[], feast_bss_end[];
extern int main(void);

typedef union {
    uint32_t *stack;
    void (*handler)(void);
} vector_t;

#ifdef FEAST_DRIVER
#ifdef __ARM_ARCH_6M__
#define LAST_IRQ 31
#else
#define LAST_IRQ 239
#endif
#endif

/* Of the external interrupts only that of the UART is ever enabled, so the table ends with it, except in a
 * build with a driver of the user's own, which may enable any. ARMv6-M takes every fault as a HardFault; the
 * others escalate to it, being disabled. */
__attribute__((section(".vectors"), used)) static const vector_t vectors[] = {
    [0] = {.stack = feast_stack_top},
    [1] = {.handler = reset_handler},
    [2] = {.handler = fault_handler}, /* NMI */
    [3] = {.handler = fault_handler}, /* HardFault */
#ifdef FEAST_DRIVER
    [16 ... 16 + LAST_IRQ] = {.handler = driver_handler},
#else
    [16 + FEAST_UART_IRQ] = {.handler = uart_handler},
#endif
};

void reset_handler(void)
{
    uint32_t *stack_pointer;
    __asm volatile("mov %0, sp" : "=r"(stack_pointer));
    for (volatile uint32_t *word = feast_stack_bottom; word < stack_pointer; word++) {
        *word = STACK_PAINT;
    }
    const uint32_t *load = feast_data_load;
    for (volatile uint32_t *word = feast_data_start; word < feast_data_end; word++) {
        *word = *load++;
    }
    for (volatile uint32_t *word = feast_bss_start; word < feast_bss_end; word++) {
        *word = 0u;
    }
    mmio_write(SCB_VTOR, (uint32_t)vectors);
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
