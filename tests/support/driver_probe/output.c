/* Sends what the camera example computes, and how often the watchdog was fed, through the UART of an MPS2 board. */
#include "driver.h"
#include "port.h"

#define UART 0x40004000u

void camera_output(const feast_event_t *event, int16_t result);

static uint32_t fed;

void port_watchdog(void)
{
    fed++;
}

static void put(uint32_t value, uint32_t bytes)
{
    volatile uint32_t *uart = (volatile uint32_t *)UART;
    for (; bytes > 0u; bytes--, value >>= 8) {
        while ((uart[1] & 1u) != 0u) {
        }
        uart[0] = value & 0xFFu;
    }
}

void camera_output(const feast_event_t *event, int16_t result)
{
    volatile uint32_t *uart = (volatile uint32_t *)UART;
    uart[4] = 217u;
    uart[2] = 1u;
    put((uint32_t)event->t_us, 4u);
    put(event->x, 2u);
    put(event->y, 2u);
    put(event->polarity, 2u);
    put((uint16_t)result, 2u);
    put(fed, 4u);
}
