/* main of a build with a driver of the user's own: events through callbacks instead of the serial link. */
#include "driver.h"

#include "cortex.h"
#include "mmio.h"
#include "port.h"
#include "runtime.h"
#include "serial.h"

#define IPSR_FIRST_EXTERNAL 16u

/* Until someone defines it. */
/* cppcheck-suppress misra-c2012-8.7 ; for the user's files */
__attribute__((weak)) void driver_interrupt(uint32_t number)
{
    (void)number;
}

void driver_handler(void)
{
    driver_interrupt((mmio_read(SCB_ICSR) & SCB_ICSR_ACTIVE) - IPSR_FIRST_EXTERNAL);
}

/* There is no serial port. */
void serial_setup(uint32_t core_hz, bool fallback)
{
    (void)core_hz;
    (void)fallback;
}

bool serial_waiting(void)
{
    return false;
}

uint32_t serial_interrupt_ticks(void)
{
    return 0u;
}

int main(void)
{
    static feast_t feast;
    port_init();
    feast_init(&feast);
    const driver_t *driver = driver_setup(&feast);
    for (;;) {
        feast_event_t event;
        port_watchdog();
        if (driver->next(driver->context, &event)) {
            driver->result(driver->context, &event, feast_step(&feast, &event));
        }
    }
}
