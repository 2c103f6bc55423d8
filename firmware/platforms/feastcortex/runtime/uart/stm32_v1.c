/* USART of STM32 F1, F2, F4 and L1: status and data registers without a queue (RM0090 section 30.6). */
#include "uart.h"

#include "board.h"
#include "mmio.h"

#define USART_SR (FEAST_UART_BASE + 0x00u)
#define USART_SR_OVERRUN 0x08u
#define USART_SR_RX_NOT_EMPTY 0x20u
#define USART_SR_TX_EMPTY 0x80u
#define USART_DR (FEAST_UART_BASE + 0x04u)
#define USART_BRR (FEAST_UART_BASE + 0x08u)
#define USART_CR1 (FEAST_UART_BASE + 0x0Cu)
#define USART_CR1_ENABLE_TX_RX_AND_RX_INTERRUPT 0x202Cu

void uart_setup(uint32_t clock_hz, uint32_t baud)
{
    mmio_write(USART_BRR, (clock_hz + baud / 2u) / baud);
    mmio_write(USART_CR1, USART_CR1_ENABLE_TX_RX_AND_RX_INTERRUPT);
}

bool uart_take(uint8_t *byte, uint32_t *lost)
{
    /* Reading SR and then DR is what clears both flags. An overrun leaves DR intact and loses what
     * followed; it may also be reported after DR was read, with nothing new in it. */
    const uint32_t status = mmio_read(USART_SR);
    if ((status & (USART_SR_OVERRUN | USART_SR_RX_NOT_EMPTY)) == 0u) {
        return false;
    }
    *byte = (uint8_t)mmio_read(USART_DR);
    if ((status & USART_SR_OVERRUN) != 0u) {
        *lost += 1u;
    }
    return (status & USART_SR_RX_NOT_EMPTY) != 0u;
}

bool uart_put(uint8_t byte)
{
    if ((mmio_read(USART_SR) & USART_SR_TX_EMPTY) == 0u) {
        return false;
    }
    mmio_write(USART_DR, byte);
    return true;
}
