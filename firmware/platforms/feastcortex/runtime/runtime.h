/* What start-up code, port and drivers share. */
#ifndef FEAST_RUNTIME_H
#define FEAST_RUNTIME_H

#include <stdint.h>

#include "mmio.h"

/* Defined by link.ld: where each lies is what it says. */
extern uint32_t feast_vectors;
extern uint32_t feast_stack_bottom;
extern uint32_t feast_stack_top;
extern uint32_t feast_data_start;
extern uint32_t feast_data_end;
extern uint32_t feast_data_load;
extern uint32_t feast_bss_start;
extern uint32_t feast_bss_end;

#define STACK_BOTTOM mmio_address(&feast_stack_bottom)
#define STACK_TOP mmio_address(&feast_stack_top)

/* What unused stack holds. */
#define STACK_PAINT 0xFEA57FEAu

void reset_handler(void);
void fault_handler(void);
void uart_handler(void);
void driver_handler(void);

#endif
