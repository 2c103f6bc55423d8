/* CMSDK APB UART of Arm's FPGA images: one byte each way, separate receive and transmit interrupts
 * (Cortex-M System Design Kit technical reference, section 4.3). */
#include "uart.h"

#include "board.h"
#include "mmio.h"

#define UART_DATA (FEAST_UART_BASE + 0x00u)
#define UART_STATE (FEAST_UART_BASE + 0x04u)
#define UART_STATE_TX_FULL 0x1u
#define UART_STATE_RX_FULL 0x2u
#define UART_STATE_RX_OVERRUN 0x8u
#define UART_CTRL (FEAST_UART_BASE + 0x08u)
#define UART_CTRL_TX_RX_AND_RX_INTERRUPT 0xBu
#define UART_INTCLEAR (FEAST_UART_BASE + 0x0Cu)
#define UART_INT_RX 0x2u
#define UART_BAUDDIV (FEAST_UART_BASE + 0x10u)

void uart_setup(uint32_t clock_hz, uint32_t baud)
{
    mmio_write(UART_BAUDDIV, clock_hz / baud);
    mmio_write(UART_CTRL, UART_CTRL_TX_RX_AND_RX_INTERRUPT);
}

bool uart_take(uint8_t *byte, uint32_t *lost)
{
    const uint32_t state = mmio_read(UART_STATE);
    if ((state & UART_STATE_RX_OVERRUN) != 0u) {
        mmio_write(UART_STATE, UART_STATE_RX_OVERRUN);
        *lost += 1u;
    }
    if ((state & UART_STATE_RX_FULL) == 0u) {
        return false;
    }
    mmio_write(UART_INTCLEAR, UART_INT_RX);
    *byte = (uint8_t)mmio_read(UART_DATA);
    return true;
}

bool uart_put(uint8_t byte)
{
    if ((mmio_read(UART_STATE) & UART_STATE_TX_FULL) != 0u) {
        return false;
    }
    mmio_write(UART_DATA, byte);
    return true;
}
