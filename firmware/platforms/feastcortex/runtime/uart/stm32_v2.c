/* USART of STM32 F0, F3, F7, G, H7, L0, L4 and later: status with a clear register, data registers apart, queues
 * off as after reset (RM0351 section 40.8, RM0433 section 48.7). */
#include "uart.h"

#include "board.h"
#include "mmio.h"

#define USART_CR1 (FEAST_UART_BASE + 0x00u)
#define USART_CR1_ENABLE_TX_RX_AND_RX_INTERRUPT 0x2Du
#define USART_BRR (FEAST_UART_BASE + 0x0Cu)
#define USART_ISR (FEAST_UART_BASE + 0x1Cu)
#define USART_ISR_OVERRUN 0x08u
#define USART_ISR_RX_NOT_EMPTY 0x20u
#define USART_ISR_TX_EMPTY 0x80u
#define USART_ICR (FEAST_UART_BASE + 0x20u)
#define USART_RDR (FEAST_UART_BASE + 0x24u)
#define USART_TDR (FEAST_UART_BASE + 0x28u)

void uart_setup(uint32_t clock_hz, uint32_t baud)
{
    mmio_write(USART_BRR, (clock_hz + baud / 2u) / baud);
    mmio_write(USART_CR1, USART_CR1_ENABLE_TX_RX_AND_RX_INTERRUPT);
}

bool uart_take(uint8_t *byte, uint32_t *lost)
{
    const uint32_t status = mmio_read(USART_ISR);
    if ((status & USART_ISR_OVERRUN) != 0u) {
        /* Until cleared it keeps the interrupt raised, also with nothing to read. */
        mmio_write(USART_ICR, USART_ISR_OVERRUN);
        *lost += 1u;
    }
    if ((status & USART_ISR_RX_NOT_EMPTY) == 0u) {
        return false;
    }
    *byte = (uint8_t)mmio_read(USART_RDR);
    return true;
}

bool uart_put(uint8_t byte)
{
    if ((mmio_read(USART_ISR) & USART_ISR_TX_EMPTY) == 0u) {
        return false;
    }
    mmio_write(USART_TDR, byte);
    return true;
}
