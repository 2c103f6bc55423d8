/* Arm PrimeCell UART (PL011): 16 bytes of queue each way (technical reference DDI 0183, chapter 3). */
#include "uart.h"

#include "board.h"
#include "mmio.h"

#define UART_DR (FEAST_UART_BASE + 0x000u)
#define UART_DR_OVERRUN 0x800u
#define UART_FR (FEAST_UART_BASE + 0x018u)
#define UART_FR_RX_EMPTY 0x10u
#define UART_FR_TX_FULL 0x20u
#define UART_IBRD (FEAST_UART_BASE + 0x024u)
#define UART_FBRD (FEAST_UART_BASE + 0x028u)
#define UART_LCRH (FEAST_UART_BASE + 0x02Cu)
#define UART_LCRH_8_BITS_QUEUES_ON 0x70u
#define UART_CR (FEAST_UART_BASE + 0x030u)
#define UART_CR_ENABLE_TX_RX 0x301u
#define UART_IFLS (FEAST_UART_BASE + 0x034u)
#define UART_IFLS_RX_HALF_FULL 0x10u
#define UART_IMSC (FEAST_UART_BASE + 0x038u)
#define UART_ICR (FEAST_UART_BASE + 0x044u)
#define UART_INT_RX_AND_RX_TIMEOUT 0x50u

void uart_setup(uint32_t clock_hz, uint32_t baud)
{
    /* clock / (16 * baud) in 1/64: clock * 4 / baud, rounded. */
    const uint32_t divider = (clock_hz * 8u / baud + 1u) / 2u;
    mmio_write(UART_CR, 0u);
    mmio_write(UART_IBRD, divider >> 6);
    mmio_write(UART_FBRD, divider & 0x3Fu);
    mmio_write(UART_LCRH, UART_LCRH_8_BITS_QUEUES_ON); /* latches the divider: after it */
    mmio_write(UART_IFLS, UART_IFLS_RX_HALF_FULL);
    mmio_write(UART_IMSC, UART_INT_RX_AND_RX_TIMEOUT);
    mmio_write(UART_CR, UART_CR_ENABLE_TX_RX);
}

bool uart_take(uint8_t *byte, uint32_t *lost)
{
    mmio_write(UART_ICR, UART_INT_RX_AND_RX_TIMEOUT);
    if ((mmio_read(UART_FR) & UART_FR_RX_EMPTY) != 0u) {
        return false;
    }
    const uint32_t data = mmio_read(UART_DR);
    if ((data & UART_DR_OVERRUN) != 0u) {
        *lost += 1u;
    }
    *byte = (uint8_t)data;
    return true;
}

bool uart_put(uint8_t byte)
{
    if ((mmio_read(UART_FR) & UART_FR_TX_FULL) != 0u) {
        return false;
    }
    mmio_write(UART_DR, byte);
    return true;
}
