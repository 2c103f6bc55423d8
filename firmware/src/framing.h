/* Frames on a byte stream: a body, its CRC-32, consistent-overhead byte stuffing, one zero byte.
 *
 * After any input the decoder is synchronised again by the next zero byte. No allocation, no recursion;
 * a byte costs a bounded number of instructions. Reentrant for different decoders. */
#ifndef FEAST_FRAMING_H
#define FEAST_FRAMING_H

#include <stdbool.h>
#include <stdint.h>

#define FRAMING_CRC_BYTES 4u

typedef enum {
    FRAMING_MORE,     /* no frame has ended yet */
    FRAMING_FRAME,    /* an intact frame has ended: bytes[0 .. frame_length - 1], valid until the next push */
    FRAMING_BAD,      /* dropped: not COBS, or too short for a CRC */
    FRAMING_BAD_CRC,  /* dropped: the checksum does not match */
    FRAMING_TOO_LONG  /* dropped: does not fit the buffer */
} framing_status_t;

typedef struct {
    uint8_t *bytes;    /* the caller's buffer: body and CRC */
    uint32_t capacity; /* of that buffer */
    uint32_t length;   /* bytes in it so far */
    uint32_t frame_length; /* after FRAMING_FRAME: bytes of the body */
    uint8_t code;      /* code byte of the current COBS block */
    uint8_t left;      /* bytes the block still has to bring */
    bool too_long;
} framing_decoder_t;

void framing_init(framing_decoder_t *self, uint8_t *buffer, uint32_t capacity);

/* Takes one received byte. After anything but FRAMING_MORE the next byte begins a new frame. */
framing_status_t framing_push(framing_decoder_t *self, uint8_t byte);

/* Where encoded bytes go. */
typedef void (*framing_write_t)(const uint8_t *bytes, uint32_t count);

/* Sends a frame. `frame` holds `length` body bytes and has room for FRAMING_CRC_BYTES more, which this
 * fills in. Writes at most length + length / 254 + 7 bytes, in pieces of up to 254. */
void framing_send(uint8_t *frame, uint32_t length, framing_write_t write);

/* CRC-32 as in zlib: framing_crc32(framing_crc32(0, a, n), b, m) is that of a followed by b. */
uint32_t framing_crc32(uint32_t crc, const uint8_t *bytes, uint32_t count);

#endif
