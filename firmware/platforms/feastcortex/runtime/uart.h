/* UART drivers. One file of uart/ is linked, chosen by `uart.family` of the board; it drives the
 * instance at FEAST_UART_BASE. */
#ifndef FEAST_UART_H
#define FEAST_UART_H

#include <stdbool.h>
#include <stdint.h>

/* 8 data bits, no parity, 1 stop bit; receive interrupt on. `clock_hz` drives the UART. */
void uart_setup(uint32_t clock_hz, uint32_t baud);

/* Takes one received byte and acknowledges its interrupt; false if there is none. Adds to `*lost` what
 * the UART reports as overrun. Called by the receive interrupt only. */
bool uart_take(uint8_t *byte, uint32_t *lost);

/* Hands one byte to the transmitter; false if it has no room yet. */
bool uart_put(uint8_t byte);

#endif
