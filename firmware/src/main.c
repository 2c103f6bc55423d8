/* The firmware: events come in over the serial port, the network runs, results go out. */
#include "feast.h"
#include "link.h"
#include "port.h"

int main(void)
{
    static feast_t feast;
    static link_t link;
    port_init();
    link_init(&link, &feast);
    for (;;) {
        port_watchdog();
        if (!link_poll(&link)) {
            port_idle();
        }
    }
}
