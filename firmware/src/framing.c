#include "framing.h"

#include "feast_wire.h"

#define BLOCK_MAX 254u  /* most data bytes behind one COBS code byte */
#define CODE_FULL 0xFFu /* code byte of such a block: no zero follows it */

uint32_t framing_crc32(uint32_t crc, const uint8_t *bytes, uint32_t count)
{
    /* Four bits at a time: 64 bytes of table instead of 1024. Polynomial 0xEDB88320, reflected. */
    static const uint32_t table[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u, 0x4DB26158u, 0x5005713Cu,
        0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu, 0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
    };
    crc = ~crc;
    for (uint32_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ table[crc & 15u];
        crc = (crc >> 4) ^ table[crc & 15u];
    }
    return ~crc;
}

/* `code` starts as that of a full block, so that no zero is put in front of the first one. */
static void begin_frame(framing_decoder_t *self)
{
    self->length = 0;
    self->code = CODE_FULL;
    self->left = 0;
    self->too_long = false;
}

void framing_init(framing_decoder_t *self, uint8_t *buffer, uint32_t capacity)
{
    self->bytes = buffer;
    self->capacity = capacity;
    self->frame_length = 0;
    begin_frame(self);
}

static void put(framing_decoder_t *self, uint8_t byte)
{
    if (self->length < self->capacity) {
        self->bytes[self->length] = byte;
        self->length++;
    } else {
        self->too_long = true;
    }
}

/* Judges the frame that a zero byte has just ended. A zero byte after a zero byte ends nothing. */
static framing_status_t judge(const framing_decoder_t *self)
{
    if (self->too_long) {
        return FRAMING_TOO_LONG;
    }
    if (self->left == 0u && self->length == 0u && self->code == CODE_FULL) {
        return FRAMING_MORE;
    }
    if (self->left != 0u || self->length <= FRAMING_CRC_BYTES) {
        return FRAMING_BAD;
    }
    const uint32_t body = self->length - FRAMING_CRC_BYTES;
    const bool intact = framing_crc32(0, self->bytes, body) == feast_wire_get_u32(&self->bytes[body]);
    return intact ? FRAMING_FRAME : FRAMING_BAD_CRC;
}

framing_status_t framing_push(framing_decoder_t *self, uint8_t byte)
{
    if (byte == 0u) {
        const framing_status_t status = judge(self);
        if (status == FRAMING_FRAME) {
            self->frame_length = self->length - FRAMING_CRC_BYTES;
        }
        begin_frame(self);
        return status;
    }
    if (self->left > 0u) {
        self->left--;
        put(self, byte);
    } else {
        if (self->code != CODE_FULL) {
            put(self, 0);
        }
        self->code = byte;
        self->left = (uint8_t)(byte - 1u);
    }
    return FRAMING_MORE;
}

void framing_send(uint8_t *frame, uint32_t length, framing_write_t write)
{
    static const uint8_t delimiter = 0;
    feast_wire_put_u32(&frame[length], framing_crc32(0, frame, length));
    length += FRAMING_CRC_BYTES;
    uint32_t at = 0;
    bool more = true;
    while (more) {
        uint32_t run = 0;
        while (run < BLOCK_MAX && at + run < length && frame[at + run] != 0u) {
            run++;
        }
        const uint8_t code = (uint8_t)(run + 1u);
        write(&code, 1);
        write(&frame[at], run);
        at += run;
        more = at < length;
        if (more && run < BLOCK_MAX) {
            at++; /* the zero that this block's code stands for */
        }
    }
    write(&delimiter, 1);
}
