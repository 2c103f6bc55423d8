/* Bits and fields of a 32-bit register. */
#ifndef FEAST_BITS_H
#define FEAST_BITS_H

#include <stdint.h>

#define BIT(number) ((uint32_t)1u << (number))
#define FIELD(value, at) ((value) * BIT(at))

#endif
