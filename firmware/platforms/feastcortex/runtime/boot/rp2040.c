/* Second-stage boot of the RP2040: its ROM copies the first 256 bytes of the flash to RAM, checks their CRC and jumps
 * to them (data sheet, section 2.8.1.3). These set the flash interface to plain serial reads of 32 bits (command 03h at
 * a quarter of the core clock, which any flash chip takes; section 4.10) and go on with the vector table that follows. */

__asm(".section .boot, \"ax\", %progbits\n"
      ".syntax unified\n"
      ".thumb\n"
      "    push {lr}\n"
      "    ldr r3, ssi\n"
      "    movs r0, #0\n"
      "    str r0, [r3, #0x08]\n" /* SSIENR: off while it is set up */
      "    movs r1, #4\n"
      "    str r1, [r3, #0x14]\n" /* BAUDR */
      "    ldr r1, ctrlr0\n"
      "    str r1, [r3, #0x00]\n"
      "    str r0, [r3, #0x04]\n" /* CTRLR1: one word a read */
      "    ldr r1, spi_ctrlr0\n"
      "    ldr r2, spi_ctrlr0_address\n"
      "    str r1, [r2]\n"
      "    movs r0, #1\n"
      "    str r0, [r3, #0x08]\n"
      "    pop {r0}\n" /* 0 from the ROM; code that calls this to restore the interface is returned to */
      "    cmp r0, #0\n"
      "    beq enter\n"
      "    bx r0\n"
      "enter:\n"
      "    ldr r0, vectors_address\n"
      "    ldr r1, vtor\n"
      "    str r0, [r1]\n"
      "    ldmia r0!, {r1, r2}\n"
      "    msr msp, r1\n"
      "    bx r2\n"
      "    .balign 4\n"
      "ssi: .word 0x18000000\n"
      "ctrlr0: .word 0x001F0300\n" /* 32 bits a frame, EEPROM read: command and address out, data in */
      "spi_ctrlr0: .word 0x03000218\n" /* command 03h of 8 bits, address of 24 */
      "spi_ctrlr0_address: .word 0x180000F4\n"
      "vectors_address: .word 0x10000100\n"
      "vtor: .word 0xE000ED08\n"
      "    .org 252, 0\n"
      "    .word 0x05669589\n" /* CRC-32 of the 252 bytes before, as a test checks: change both together */
      "    .text\n");
