#include "mmio.h"

uint32_t (*mock_read)(uint32_t address);
void (*mock_write)(uint32_t address, uint32_t value);
