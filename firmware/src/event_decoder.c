#include "event_decoder.h"

#define STEP_MAX_BYTES 5u     /* 7 bits each, least significant first; bit 7: more to come */
#define LAST_BYTE_MAX 0x0Fu   /* what the fifth may hold: bits 28 to 31 */

/* Takes a varint; false if it is cut short or exceeds 32 bits. */
static bool take_step(batch_t *self, uint32_t *step)
{
    *step = 0;
    for (uint32_t i = 0; i < STEP_MAX_BYTES && self->at != self->end; i++) {
        const uint8_t byte = *self->at;
        self->at++;
        if (i == STEP_MAX_BYTES - 1u && byte > LAST_BYTE_MAX) {
            return false;
        }
        *step |= ((uint32_t)byte & 0x7Fu) << (7u * i);
        if (byte < 0x80u) {
            return true;
        }
    }
    return false;
}

batch_t batch_open(const uint8_t *bytes, uint32_t count, uint64_t base_us)
{
    const batch_t batch = {.at = bytes, .end = bytes + count, .event = {.t_us = base_us}};
    return batch;
}

bool batch_next(batch_t *self)
{
    uint32_t step;
    const uint8_t *begin = self->at;
    if (!take_step(self, &step) || self->end - self->at < 2 * (int)BATCH_COORDINATE_BYTES) {
        self->at = begin;
        return false;
    }
    self->event.t_us += step >> 1;
    self->event.polarity = (uint8_t)(step & 1u);
#if BATCH_COORDINATE_BYTES == 1u
    self->event.x = self->at[0];
    self->event.y = self->at[1];
#else
    self->event.x = feast_wire_get_u16(self->at);
    self->event.y = feast_wire_get_u16(self->at + 2);
#endif
    self->at += 2u * BATCH_COORDINATE_BYTES;
    return true;
}

bool batch_count(batch_t batch, uint32_t *count)
{
    *count = 0;
    while (batch_next(&batch)) {
        (*count)++;
    }
    return batch.at == batch.end;
}
