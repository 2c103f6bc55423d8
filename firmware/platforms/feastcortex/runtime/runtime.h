/* What start-up code, port and drivers share. */
#ifndef FEAST_RUNTIME_H
#define FEAST_RUNTIME_H

#include <stdint.h>

/* Defined by link.ld. */
extern uint32_t feast_stack_bottom[], feast_stack_top[];

/* What unused stack holds. */
#define STACK_PAINT 0xFEA57FEAu

void reset_handler(void);
void fault_handler(void);
void uart_handler(void);
void driver_handler(void);

#endif
