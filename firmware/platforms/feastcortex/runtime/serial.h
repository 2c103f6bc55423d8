/* The serial port below port.h: serial.c has it on a UART; builds with a driver of the user's own have none. */
#ifndef FEAST_SERIAL_H
#define FEAST_SERIAL_H

#include <stdbool.h>
#include <stdint.h>

/* Connects pins, sets up the UART and starts receiving. `fallback`: the core is on its reset clock. SysTick runs. */
void serial_setup(uint32_t core_hz, bool fallback);

/* Received bytes are waiting. Called with interrupts masked. */
bool serial_waiting(void);

/* Ticks spent in the receive interrupt so far, modulo 2^32. Called with interrupts masked. */
uint32_t serial_interrupt_ticks(void);

#endif
