/* The firmware's frame decoder and encoder against the plain ones of fuzz.h: any bytes, frames among them.
 * Input: capacity, then pieces: a byte of kind and length, and so many bytes; odd kinds are framed first. */
#include "framing.h"

#include "fuzz.h"

static uint8_t sent[1024];
static size_t sent_count;

static void on_write(const uint8_t *bytes, uint32_t count)
{
    CHECK(sent_count + count <= sizeof sent);
    memcpy(&sent[sent_count], bytes, count);
    sent_count += count;
}

typedef struct {
    framing_decoder_t decoder;
    uint8_t coded[4096]; /* bytes since the last zero byte */
    size_t count;
} stream_t;

static void push(stream_t *self, uint8_t byte)
{
    uint8_t body[4096 + 4];
    size_t length = 0;
    const framing_status_t status = framing_push(&self->decoder, byte);
    if (byte != 0) {
        CHECK(status == FRAMING_MORE);
        self->coded[self->count++] = byte;
        CHECK(self->count < sizeof self->coded);
        return;
    }
    CHECK((int)status == (int)plain_decode(self->coded, self->count, self->decoder.capacity, body, &length));
    if (status == FRAMING_FRAME) {
        CHECK(self->decoder.frame_length == length);
        CHECK(memcmp(self->decoder.bytes, body, length) == 0);
    }
    self->count = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    input_t input = {bytes, size};
    static stream_t stream;
    const uint32_t capacity = 5u + take_16(&input) % 300u;
    uint8_t *buffer = malloc(capacity);
    stream.count = 0;
    framing_init(&stream.decoder, buffer, capacity);
    while (input.left > 0) {
        uint8_t body[255 + FRAMING_CRC_BYTES];
        uint8_t coded[300];
        const uint8_t kind = take_8(&input);
        const size_t length = kind / 2u < input.left ? kind / 2u : input.left;
        take_bytes(&input, body, length);
        if (kind % 2u == 0u || length == 0u) {
            for (size_t i = 0; i < length; i++) {
                push(&stream, body[i]);
            }
            continue;
        }
        const size_t expected = plain_encode(body, length, coded);
        sent_count = 0;
        framing_send(body, (uint32_t)length, on_write);
        CHECK(sent_count == expected && memcmp(sent, coded, expected) == 0);
        for (size_t i = 0; i < expected; i++) {
            push(&stream, coded[i]);
        }
    }
    push(&stream, 0);
    free(buffer);
    return 0;
}
