/* Image definition of the RP2350: its ROM looks for this block in the first 4 KB of the flash and takes the image for
 * one to run, secure, on the Arm cores, with the vector table at its start (data sheet, section 5.9.5.1). */
#include <stdint.h>

__attribute__((section(".boot_block"), used)) static const uint32_t image_definition[] = {
    0xFFFFDED3u, /* begin */
    0x10210142u, /* image type: executable, secure, Arm, RP2350 */
    0x000001FFu, /* last item, of one word */
    0x00000000u, /* no further block */
    0xAB123579u, /* end */
};
