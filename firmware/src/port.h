/* What the firmware needs from a board: one byte stream, one tick counter, one stack gauge.
 *
 * Every board implements these functions in firmware/platforms/feastcortex/runtime; main.c and the
 * link are written against this header only. No function here waits without a bound.
 * All of them are called from the main thread, none from an interrupt.
 */
#ifndef FEAST_PORT_H
#define FEAST_PORT_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes the receive ring holds: what the host may have in flight before it needs new credit. */
extern const uint32_t port_rx_capacity;

/* Clock, UART with interrupt-driven receive ring, tick counter. Call once, first. */
void port_init(void);

/* Takes up to `capacity` received bytes. Never waits; 0 when the ring is empty. */
uint32_t port_read(uint8_t *bytes, uint32_t capacity);

/* Received bytes lost since port_init: the ring was full, or the UART overran. A UART that reports an
 * overrun without saying of how many bytes counts 1 for each report. */
uint32_t port_rx_overruns(void);

/* Sends `count` bytes, waiting a bounded time for each. Bytes the UART does not take in that time are
 * dropped and counted in port_tx_dropped. */
void port_write(const uint8_t *bytes, uint32_t count);
uint32_t port_tx_dropped(void);

/* Sleeps until an interrupt unless received bytes are waiting, at most one wrap of the tick counter: 2^24 ticks. */
void port_idle(void);

/* Called in every round of the main loop: define this in a file of your own to feed a watchdog. Until then it does
 * nothing. The longest time between two calls is one sleep of port_idle or one link_poll. */
void port_watchdog(void);

/* Ticks of the main thread, counting up, wrapping at 2^24: time spent in the receive interrupt is left
 * out. (after - before) & PORT_TICK_MASK is exact for up to 2^24 ticks; sums over many events need 64
 * bits. port_tick_hz() ticks are one second. */
#define PORT_TICK_MASK 0xFFFFFFu
uint32_t port_ticks(void);
uint32_t port_tick_hz(void);

/* Core clock in Hz, as reached: boards start on their reset clock and stay there, with
 * port_clock_fallback() true, if the faster one does not come up in time. */
uint32_t port_clock_hz(void);
bool port_clock_fallback(void);

/* Deepest stack use since reset and the size of the stack, bytes. */
uint32_t port_stack_used(void);
uint32_t port_stack_bytes(void);

/* Why the board last restarted itself; kind 0 after an ordinary reset. The record survives one reset. */
typedef struct {
    uint32_t kind;    /* PORT_FAULT_NONE, _EXCEPTION, _ASSERT */
    uint32_t where;   /* program counter, or the source line of an assertion */
    uint32_t status;  /* CFSR where the core has one, else the exception number */
} port_fault_t;
#define PORT_FAULT_NONE 0u
#define PORT_FAULT_EXCEPTION 1u
#define PORT_FAULT_ASSERT 2u
port_fault_t port_last_fault(void);

/* Records the fault and resets the board. */
__attribute__((noreturn)) void port_fail(uint32_t line);
#define PORT_ASSERT(condition) ((condition) ? (void)0 : port_fail((uint32_t)__LINE__))

#endif
