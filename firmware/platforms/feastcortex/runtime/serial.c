/* Bytes in and out through a UART: receive ring filled by interrupt, transmit with a bound. */
#include "serial.h"

#include "port.h"
#include "runtime.h"

#include "bits.h"
#include "board.h"
#include "cortex.h"
#include "mmio.h"
#include "uart.h"

#define UART_IRQ_WORD (4u * (FEAST_UART_IRQ / 32u))
#define UART_IRQ_BIT BIT(FEAST_UART_IRQ % 32u)
#define RING_MASK (FEAST_RX_RING_BYTES - 1u)
_Static_assert((FEAST_RX_RING_BYTES & RING_MASK) == 0u, "the receive ring must be a power of two");
#define CONNECT_POLLS 10000u

const uint32_t port_rx_capacity = FEAST_RX_RING_BYTES;

/* Written by the interrupt: bytes, received, lost. Written by the thread: taken. The counts run freely;
 * received - taken is what the ring holds. */
static uint8_t ring[FEAST_RX_RING_BYTES];
static volatile uint32_t received;
static volatile uint32_t taken;
static volatile uint32_t lost;

/* Ticks spent in the interrupt, and what entering and leaving it adds to those it can see itself. */
static volatile uint32_t interrupt_ticks;
static uint32_t interrupt_overhead;

static uint32_t dropped;
static uint32_t put_polls;

/* What clocks the UART and puts it on its pins: register writes, and waits for bits to be set. Address 0 ends
 * the list. */
typedef struct {
    uint32_t address;
    uint32_t clear;
    uint32_t set;
    uint32_t wait;
} step_t;

static void take_step(const step_t *step)
{
    if ((step->clear | step->set) != 0u) {
        mmio_update(step->address, step->clear, step->set);
    }
    for (uint32_t poll = 0; (mmio_read(step->address) & step->wait) != step->wait && poll < CONNECT_POLLS; poll++) {
    }
}

/* Ticks of pending the UART interrupt by software. The instructions between the two readings are the
 * same whether the interrupt is enabled, and taken, or not. */
__attribute__((noinline)) static uint32_t pend_uart_ticks(void)
{
    const uint32_t before = mmio_read(SYST_CVR);
    mmio_write(NVIC_ISPR + UART_IRQ_WORD, UART_IRQ_BIT);
    __asm volatile("dsb\n\tisb" ::: "memory");
    return (before - mmio_read(SYST_CVR)) & PORT_TICK_MASK;
}

/* Enables the UART interrupt and finds out what it costs beyond the ticks it counts. */
static void enable_interrupt(void)
{
    const uint32_t untaken = pend_uart_ticks();
    mmio_write(NVIC_ICPR + UART_IRQ_WORD, UART_IRQ_BIT);
    mmio_write(NVIC_ISER + UART_IRQ_WORD, UART_IRQ_BIT);
    const uint32_t taken_ticks = pend_uart_ticks();
    interrupt_overhead = taken_ticks - untaken - interrupt_ticks;
    interrupt_ticks = 0u;
}

void serial_setup(uint32_t core_hz, bool fallback)
{
    static const step_t connect[] = {FEAST_CONNECT};
    for (const step_t *step = connect; step->address != 0u; step++) {
        take_step(step);
    }
    /* A clock of the UART's own, or the core's, divided where clock_setup has divided it. */
    const uint32_t divided_hz = fallback ? core_hz : core_hz / FEAST_UART_BUS_DIVIDER;
    uart_setup(FEAST_UART_CLOCK_HZ != 0u ? FEAST_UART_CLOCK_HZ : divided_hz, FEAST_UART_BAUD);
    /* A poll takes more than one cycle, and a byte ten bits: this waits four bytes or longer. */
    put_polls = 40u * (core_hz / FEAST_UART_BAUD);
    enable_interrupt();
}

bool serial_waiting(void)
{
    return received != taken;
}

uint32_t serial_interrupt_ticks(void)
{
    return interrupt_ticks;
}

void uart_handler(void)
{
    const uint32_t entered = mmio_read(SYST_CVR);
    uint8_t byte;
    uint32_t missed = 0;
    while (uart_take(&byte, &missed)) {
        if (received - taken < FEAST_RX_RING_BYTES) {
            ring[received & RING_MASK] = byte;
            received = received + 1u;
        } else {
            missed++;
        }
    }
    lost = lost + missed;
    interrupt_ticks = interrupt_ticks + ((entered - mmio_read(SYST_CVR)) & PORT_TICK_MASK) + interrupt_overhead;
}

uint32_t port_read(uint8_t *bytes, uint32_t capacity)
{
    const uint32_t start = taken;
    uint32_t count = received - start;
    if (count > capacity) {
        count = capacity;
    }
    for (uint32_t i = 0; i < count; i++) {
        bytes[i] = ring[(start + i) & RING_MASK];
    }
    /* The interrupt reuses the space once it sees `taken`: only after the copy. */
    __asm volatile("dmb" ::: "memory");
    taken = start + count;
    return count;
}

uint32_t port_rx_overruns(void)
{
    return lost;
}

void port_write(const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t poll = 0;
        while (!uart_put(bytes[i])) {
            poll++;
            if (poll > put_polls) {
                dropped += count - i;
                return;
            }
        }
    }
}

uint32_t port_tx_dropped(void)
{
    return dropped;
}
