/* Exercises port.h on request: one command byte, little-endian arguments, see Probe in test_emulator.py. */
#include "port.h"

static uint8_t get_byte(void)
{
    uint8_t byte;
    while (port_read(&byte, 1u) == 0u) {
        port_idle();
    }
    return byte;
}

static uint32_t get_word(void)
{
    uint32_t word = 0;
    for (uint32_t shift = 0; shift < 32u; shift += 8u) {
        word |= (uint32_t)get_byte() << shift;
    }
    return word;
}

static void put_word(uint32_t word)
{
    const uint8_t bytes[4] = {(uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16), (uint8_t)(word >> 24)};
    port_write(bytes, sizeof bytes);
}

/* Two instructions a round. */
static void spin(uint32_t rounds)
{
    __asm volatile(".syntax unified\n1: subs %0, %0, #1\n\tbne 1b" : "+l"(rounds) : : "cc");
}

static uint32_t measure(uint32_t rounds)
{
    const uint32_t before = port_ticks();
    spin(rounds);
    return (port_ticks() - before) & PORT_TICK_MASK;
}

/* Waits for `count` bytes to come in behind each other while measuring; answers how many came within. */
static void measure_receiving(uint32_t rounds, uint32_t count)
{
    static uint8_t bytes[256];
    while (port_read(bytes, 1u) == 0u) {
        port_idle();
    }
    uint32_t got = 1u + port_read(bytes, sizeof bytes);
    const uint32_t ticks = measure(rounds);
    const uint32_t within = port_read(bytes, sizeof bytes);
    got += within;
    while (got < count) {
        got += port_read(bytes, sizeof bytes);
    }
    put_word(ticks);
    put_word(within);
}

static void echo(uint32_t count)
{
    while (count > 0u) {
        uint8_t bytes[64];
        const uint32_t got = port_read(bytes, count < sizeof bytes ? count : sizeof bytes);
        port_write(bytes, got);
        count -= got;
        if (got == 0u) {
            port_idle();
        }
    }
}

static void inform(void)
{
    const port_fault_t fault = port_last_fault();
    const uint32_t words[] = {
        port_tick_hz(),    port_clock_hz(),     port_clock_fallback(), port_rx_capacity,
        port_stack_used(), port_stack_bytes(),  port_rx_overruns(),    port_tx_dropped(),
        fault.kind,        fault.where,         fault.status,
    };
    for (uint32_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        put_word(words[i]);
    }
}

/* Takes about `bytes` of stack, and more than there is if asked to. */
__attribute__((noinline)) static uint32_t dig(uint32_t bytes)
{
    volatile uint32_t hole[16];
    for (uint32_t i = 0; i < 16u; i++) {
        hole[i] = bytes;
    }
    return bytes > sizeof hole ? dig(bytes - (uint32_t)sizeof hole) + hole[3] : hole[5];
}

/* Sleeps `times` times, nothing coming in; answers the ticks that took. */
static uint32_t sleep(uint32_t times)
{
    const uint32_t before = port_ticks();
    for (uint32_t i = 0; i < times; i++) {
        port_idle();
    }
    return port_ticks() - before;
}

static void answer(uint8_t command)
{
    switch (command) {
    case 'e': echo(get_word()); break;
    case 'i': inform(); break;
    case 'm': put_word(measure(get_word())); break;
    case 'r': {
        const uint32_t rounds = get_word();
        measure_receiving(rounds, get_word());
        break;
    }
    case 'q': spin(get_word()); put_word(0u); break; /* reads nothing meanwhile */
    case 'w': put_word(sleep(get_word())); break;
    case 's': put_word(dig(get_word())); break;
    case 'a': PORT_ASSERT(command != 'a'); break;
    case 'u': __asm volatile("udf #1"); break;
    default: put_word(0xFFFFFFFFu); break;
    }
}

int main(void)
{
    port_init();
    put_word(0x59444552u); /* "REDY" */
    for (;;) {
        answer(get_byte());
    }
}
