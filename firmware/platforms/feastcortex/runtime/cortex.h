/* The registers of the Cortex-M system control space that the runtime uses. */
#ifndef FEAST_CORTEX_H
#define FEAST_CORTEX_H

#include "bits.h"

#define SYST_CSR 0xE000E010u
#define SYST_CSR_ENABLE 0x1u
#define SYST_CSR_INTERRUPT 0x2u
#define SYST_CSR_CORE_CLOCK 0x4u
#define SYST_RVR 0xE000E014u
#define SYST_CVR 0xE000E018u
#define NVIC_ISER 0xE000E100u /* one bit an interrupt, 32 a word */
#define NVIC_ISPR 0xE000E200u
#define NVIC_ICPR 0xE000E280u
#define SCB_ICSR 0xE000ED04u
#define SCB_ICSR_ACTIVE 0x1FFu
#define SCB_ICSR_CLEAR_SYSTICK BIT(25)
#define SCB_VTOR 0xE000ED08u /* reads 0 and ignores writes on cores without it */
#define SCB_AIRCR 0xE000ED0Cu
#define SCB_AIRCR_RESET 0x05FA0004u
#define SCB_CCR 0xE000ED14u
#define SCB_CCR_INSTRUCTION_CACHE BIT(17)
#define SCB_CFSR 0xE000ED28u /* not on ARMv6-M */
#define SCB_CPACR 0xE000ED88u
#define SCB_ICIALLU 0xE000EF50u /* writing it empties the instruction cache */
#define SCB_CPACR_VECTORS 0x00F00000u /* full access to coprocessors 10 and 11 */

#endif
