/* Faults and failed assertions: recorded in memory that start-up leaves alone, then a reset. */
#include "port.h"
#include "runtime.h"

#include "cortex.h"
#include "mmio.h"

#define RECORD_MAGIC 0xFA017EDu

typedef struct {
    uint32_t magic;
    port_fault_t fault;
} record_t;

__attribute__((section(".noinit"))) static record_t record;

static port_fault_t last;

static _Noreturn void restart(port_fault_t fault)
{
    record = (record_t){RECORD_MAGIC, fault};
    __asm volatile("dsb" ::: "memory");
    mmio_write(SCB_AIRCR, SCB_AIRCR_RESET);
    for (;;) {
        __asm volatile("dsb" ::: "memory");
    }
}

/* `frame`: r0-r3, r12, lr, pc, xPSR as stacked by the core. After a stack overflow it lies outside the
 * RAM and is not read. */
__attribute__((used)) _Noreturn static void record_fault(const uint32_t *frame)
{
    const bool readable = frame >= feast_stack_bottom && frame + 8 <= feast_stack_top;
#ifdef __ARM_ARCH_6M__
    const uint32_t status = mmio_read(SCB_ICSR) & SCB_ICSR_ACTIVE;
#else
    const uint32_t status = mmio_read(SCB_CFSR);
#endif
    restart((port_fault_t){PORT_FAULT_EXCEPTION, readable ? frame[6] : 0u, status});
}

/* The stack may be what failed: start over at its top before calling anything. */
__attribute__((naked)) void fault_handler(void)
{
    __asm volatile("mrs r0, msp\n\t"
                   "ldr r1, =feast_stack_top\n\t"
                   "mov sp, r1\n\t"
                   "ldr r1, =record_fault\n\t"
                   "bx r1\n\t"
                   ".ltorg");
}

_Noreturn void port_fail(uint32_t line)
{
    restart((port_fault_t){PORT_FAULT_ASSERT, line, 0u});
}

port_fault_t port_last_fault(void)
{
    if (record.magic == RECORD_MAGIC) {
        last = record.fault;
        record.magic = 0u;
    }
    return last;
}
