/* What the fuzz targets share: taking an input apart, checks that end the process, and the link's framing
 * written a second time, as docs/reference/protocol.md says it, to judge the firmware's. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                           \
    do {                                                                           \
        if (!(condition)) {                                                        \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
            abort();                                                               \
        }                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* An input, taken from its front; past its end everything is 0. */
typedef struct {
    const uint8_t *at;
    size_t left;
} input_t;

static inline void take_bytes(input_t *self, void *to, size_t count)
{
    const size_t here = count < self->left ? count : self->left;
    memset(to, 0, count);
    if (here > 0) {
        memcpy(to, self->at, here);
    }
    self->at += here;
    self->left -= here;
}

static inline uint8_t take_8(input_t *self)
{
    uint8_t byte;
    take_bytes(self, &byte, 1);
    return byte;
}

static inline uint32_t take_16(input_t *self)
{
    const uint32_t low = take_8(self);
    return low | (uint32_t)take_8(self) << 8;
}

/* CRC-32 by a table of bytes, made bit by bit at first use. */
static inline uint32_t plain_crc32(const uint8_t *bytes, size_t count)
{
    static uint32_t table[256];
    uint32_t crc = 0xFFFFFFFFu;
    for (uint32_t i = 0; table[255] == 0u && i < 256u; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++) {
            value = (value >> 1) ^ ((value & 1u) != 0u ? 0xEDB88320u : 0u);
        }
        table[i] = value;
    }
    for (size_t i = 0; i < count; i++) {
        crc = (crc >> 8) ^ table[(crc ^ bytes[i]) & 0xFFu];
    }
    return ~crc;
}

typedef enum { PLAIN_NOTHING, PLAIN_FRAME, PLAIN_BAD, PLAIN_BAD_CRC, PLAIN_TOO_LONG } plain_t;

/* Judges the bytes between two zero bytes. An intact frame's body is in `body`, which has room for `size` bytes.
 * `capacity`: the longest body with its CRC that the decoder takes. */
static inline plain_t plain_decode(const uint8_t *coded, size_t size, size_t capacity, uint8_t *body, size_t *length)
{
    size_t at = 0;
    size_t count = 0;
    bool whole = true;
    if (size == 0) {
        return PLAIN_NOTHING;
    }
    while (at < size) {
        const size_t code = coded[at++];
        const size_t here = code - 1 < size - at ? code - 1 : size - at;
        memmove(&body[count], &coded[at], here);
        count += here;
        at += here;
        whole = here == code - 1;
        if (at < size && code < 255) {
            body[count++] = 0;
        }
    }
    *length = count - 4;
    if (count > capacity) {
        return PLAIN_TOO_LONG;
    }
    if (!whole || count <= 4) {
        return PLAIN_BAD;
    }
    const uint8_t *sum = &body[count - 4];
    const uint32_t stored = sum[0] | (uint32_t)sum[1] << 8 | (uint32_t)sum[2] << 16 | (uint32_t)sum[3] << 24;
    return plain_crc32(body, count - 4) == stored ? PLAIN_FRAME : PLAIN_BAD_CRC;
}

/* Encodes a body and its CRC, with the zero byte that ends it. `coded` has room for length + length / 254 + 7. */
static inline size_t plain_encode(const uint8_t *body, size_t length, uint8_t *coded)
{
    uint8_t sum[4];
    const uint32_t crc = plain_crc32(body, length);
    size_t code_at = 0;
    size_t at = 1;
    for (int i = 0; i < 4; i++) {
        sum[i] = (uint8_t)(crc >> (8 * i));
    }
    for (size_t i = 0; i < length + 4; i++) {
        const uint8_t byte = i < length ? body[i] : sum[i - length];
        if (at - code_at == 255) { /* a block of 254 bytes is full */
            coded[code_at] = 255;
            code_at = at++;
        }
        if (byte == 0) {
            coded[code_at] = (uint8_t)(at - code_at);
            code_at = at++;
        } else {
            coded[at++] = byte;
        }
    }
    coded[code_at] = (uint8_t)(at - code_at);
    coded[at++] = 0;
    return at;
}

#endif
