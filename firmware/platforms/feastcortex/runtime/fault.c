/* Faults and failed assertions: recorded in memory that start-up leaves alone, then a reset. */
#include "port.h"
#include "runtime.h"

#include "cortex.h"
#include "mmio.h"

#define RECORD_MAGIC 0xFA017EDu
#define FRAME_BYTES 32u
#define FRAME_AT_PC 24u

typedef struct {
    uint32_t magic;
    port_fault_t fault;
} record_t;

__attribute__((section(".noinit"))) static record_t record;

__attribute__((noreturn)) static void restart(port_fault_t fault)
{
    record = (record_t){RECORD_MAGIC, fault};
    __asm volatile("dsb" ::: "memory");
    mmio_write(SCB_AIRCR, SCB_AIRCR_RESET);
    for (;;) {
        __asm volatile("dsb" ::: "memory");
    }
}

/* `frame`: where the core stacked r0-r3, r12, lr, pc, xPSR. After a stack overflow that lies outside the RAM and is
 * not read. */
__attribute__((used, noreturn)) static void record_fault(uint32_t frame)
{
    const bool readable = frame >= STACK_BOTTOM && frame <= STACK_TOP - FRAME_BYTES;
#ifdef __ARM_ARCH_6M__
    const uint32_t status = mmio_read(SCB_ICSR) & SCB_ICSR_ACTIVE;
#else
    const uint32_t status = mmio_read(SCB_CFSR);
#endif
    restart((port_fault_t){PORT_FAULT_EXCEPTION, readable ? mmio_read(frame + FRAME_AT_PC) : 0u, status});
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

void port_fail(uint32_t line)
{
    restart((port_fault_t){PORT_FAULT_ASSERT, line, 0u});
}

port_fault_t port_last_fault(void)
{
    static port_fault_t last;
    if (record.magic == RECORD_MAGIC) {
        last = record.fault;
        record.magic = 0u;
    }
    return last;
}
