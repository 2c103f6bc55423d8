/* UART of nRF51 and nRF52 (not UARTE): a queue of six received bytes (nRF51 reference manual, chapter 29).
 * The pins are selected by the board's `connect` list. */
#include "uart.h"

#include "board.h"
#include "mmio.h"

#define UART_STARTRX (FEAST_UART_BASE + 0x000u)
#define UART_STARTTX (FEAST_UART_BASE + 0x008u)
#define UART_RXDRDY (FEAST_UART_BASE + 0x108u)
#define UART_TXDRDY (FEAST_UART_BASE + 0x11Cu)
#define UART_INTENSET (FEAST_UART_BASE + 0x304u)
#define UART_INT_RXDRDY 0x4u
#define UART_ERRORSRC (FEAST_UART_BASE + 0x480u)
#define UART_ERRORSRC_OVERRUN 0x1u
#define UART_ENABLE (FEAST_UART_BASE + 0x500u)
#define UART_ENABLE_ON 0x4u
#define UART_RXD (FEAST_UART_BASE + 0x518u)
#define UART_TXD (FEAST_UART_BASE + 0x51Cu)
#define UART_BAUDRATE (FEAST_UART_BASE + 0x524u)

/* TXDRDY answers a byte written; before the first one there is nothing to wait for. */
static bool sending;

void uart_setup(uint32_t clock_hz, uint32_t baud)
{
    /* The divider is a fraction of 2^32 of the clock, in steps of 2^12. */
    mmio_write(UART_BAUDRATE, (uint32_t)((((uint64_t)baud << 32) / clock_hz + 0x800u) & 0xFFFFF000u));
    mmio_write(UART_ENABLE, UART_ENABLE_ON);
    mmio_write(UART_RXDRDY, 0u);
    mmio_write(UART_TXDRDY, 0u);
    mmio_write(UART_INTENSET, UART_INT_RXDRDY);
    mmio_write(UART_STARTTX, 1u);
    mmio_write(UART_STARTRX, 1u);
    sending = false;
}

bool uart_take(uint8_t *byte, uint32_t *lost)
{
    const uint32_t errors = mmio_read(UART_ERRORSRC);
    if ((errors & UART_ERRORSRC_OVERRUN) != 0u) {
        mmio_write(UART_ERRORSRC, errors);
        *lost += 1u;
    }
    if (mmio_read(UART_RXDRDY) == 0u) {
        return false;
    }
    /* Clear the event before taking the byte: reading RXD raises it again for the next one. */
    mmio_write(UART_RXDRDY, 0u);
    *byte = (uint8_t)mmio_read(UART_RXD);
    return true;
}

bool uart_put(uint8_t byte)
{
    if (sending && mmio_read(UART_TXDRDY) == 0u) {
        return false;
    }
    mmio_write(UART_TXDRDY, 0u);
    mmio_write(UART_TXD, byte);
    sending = true;
    return true;
}
