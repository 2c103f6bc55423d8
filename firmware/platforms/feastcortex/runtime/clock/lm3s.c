/* Stellaris LM3S from the 8 MHz crystal of the board: the internal oscillator it starts on is only good
 * to 30 %, too little for a UART (LM3S6965 data sheet, section 6.1.4 and register RCC). */
#include "clock.h"

#include "board.h"
#include "mmio.h"

#define RCC 0x400FE060u
#define RCC_CRYSTAL_OFF 0x1u
#define RCC_SOURCE 0x30u
#define RCC_CRYSTAL 0x3C0u
#define RCC_CRYSTAL_8_MHZ 0x380u
#define RCC_PLL_BYPASS 0x800u

_Static_assert(FEAST_CLOCK_HZ == 8000000u, "the crystal of the evaluation board has 8 MHz");

/* The crystal starts within 10 ms and has no flag that says so: 40,000 rounds of three cycles or more. */
#define START_ROUNDS 40000u

bool clock_setup(void)
{
    mmio_update(RCC, RCC_CRYSTAL_OFF | RCC_CRYSTAL, RCC_CRYSTAL_8_MHZ | RCC_PLL_BYPASS);
    for (uint32_t round = 0; round < START_ROUNDS; round++) {
        __asm volatile("nop");
    }
    mmio_update(RCC, RCC_SOURCE, 0u);
    return true;
}
