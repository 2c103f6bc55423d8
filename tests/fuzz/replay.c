/* Gives inputs to a fuzz target without a fuzzer: each argument is one input, in hexadecimal. */
#include "fuzz.h"

static uint8_t digit(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

int main(void)
{
    static char line[1 << 16];
    while (fgets(line, sizeof line, stdin) != NULL) {
        const size_t size = strcspn(line, "\n") / 2;
        uint8_t *bytes = malloc(size + 1); /* of its exact size except for one byte, so that a read beyond it is seen */
        for (size_t i = 0; i < size; i++) {
            bytes[i] = (uint8_t)(digit(line[2 * i]) << 4 | digit(line[2 * i + 1]));
        }
        LLVMFuzzerTestOneInput(bytes, size);
        free(bytes);
    }
    return 0;
}
