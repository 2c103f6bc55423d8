/* The emitted library on any calls: events of arbitrary bytes, imported states of arbitrary words, in two variants
 * (variant_a and variant_b: the same network for two kernels) that must answer alike and end in the same state.
 * Input: a byte for each call, its lower three bits the kind, followed by what the call takes. */
#include "fuzz.h"
#include "variant.h"

#define EVENT_BYTES_MAX 64u

static const variant_t *const variants[2] = {&variant_a, &variant_b};

/* A learned state that is mostly the one held, for noise alone is refused. Both answer alike whether it is taken,
 * and hold what was given, or what they had learned at first. */
static void import(void *const self[2], input_t *input, uint8_t call)
{
    const uint32_t words = variant_a.state_words;
    const uint32_t changes = call >> 3;
    bool taken[2];
    for (uint32_t i = 0; i < changes; i++) {
        const uint32_t at = take_16(input);
        const uint32_t index = at == 0xFFFFu ? UINT32_MAX : at % (words + 1u); /* `words`: just beyond */
        const uint16_t word = (uint16_t)take_16(input);
        for (int v = 0; v < 2; v++) {
            variants[v]->import_word(self[v], index, word);
        }
    }
    for (int v = 0; v < 2; v++) {
        taken[v] = variants[v]->import_finish(self[v]);
    }
    CHECK(taken[0] == taken[1]);
    if (!taken[0]) {
        void *fresh = malloc(variant_a.bytes);
        variant_a.init(fresh);
        for (uint32_t i = 0; i < words; i++) {
            CHECK(variant_a.word(self[0], i) == variant_a.word(fresh, i));
        }
        free(fresh);
    }
}

/* Arbitrary bytes as an event; by kind with coordinates on the sensor, and a time soon after the last one. */
static void step(void *const self[2], input_t *input, uint8_t call, uint64_t *now_us)
{
    uint64_t event[2][EVENT_BYTES_MAX / 8u];
    int16_t result[2];
    uint64_t t_us;
    CHECK(variant_a.event_bytes <= EVENT_BYTES_MAX && variant_b.event_bytes == variant_a.event_bytes);
    if ((call & 8u) != 0u) {
        take_bytes(input, &t_us, sizeof t_us);
    } else {
        t_us = *now_us + ((uint64_t)take_16(input) << (call >> 4) * 3u);
    }
    *now_us = t_us;
    uint16_t x = (uint16_t)take_16(input);
    uint16_t y = (uint16_t)take_16(input);
    if ((call & 1u) == 0u) {
        x = (uint16_t)(x % variant_a.width);
        y = (uint16_t)(y % variant_a.height);
    }
    take_bytes(input, event[0], (call & 2u) != 0u ? variant_a.event_bytes : 1u);
    const uint8_t rest = *(const uint8_t *)event[0];
    if ((call & 2u) == 0u) {
        memset(event[0], rest % 4u, variant_a.event_bytes); /* polarity, channel or what else there is: small */
    }
    memcpy(event[1], event[0], sizeof event[0]);
    for (int v = 0; v < 2; v++) {
        variants[v]->event(event[v], t_us, x, y);
        result[v] = variants[v]->step(self[v], event[v]);
    }
    CHECK(result[0] == result[1]);
    CHECK(result[0] < (int32_t)variant_a.features && result[0] >= -16);
    if (x >= variant_a.width || y >= variant_a.height) {
        CHECK(result[0] < 0);
    }
}

static void same_state(void *const self[2])
{
    for (uint32_t i = 0; i < variant_a.snapshot_words; i++) {
        CHECK(variant_a.word(self[0], i) == variant_b.word(self[1], i));
    }
    for (uint32_t n = 0; n < variant_a.features; n++) {
        CHECK(variant_a.query(self[0], n) == variant_b.query(self[1], n));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    input_t input = {bytes, size};
    uint64_t now_us = 0;
    void *self[2];
    CHECK(variant_a.snapshot_words == variant_b.snapshot_words && variant_a.features == variant_b.features);
    for (int v = 0; v < 2; v++) {
        self[v] = malloc(variants[v]->bytes); /* of its exact size: a byte beyond it is seen */
        memset(self[v], 0xA5, variants[v]->bytes);
        variants[v]->init(self[v]);
    }
    while (input.left > 0) {
        const uint8_t call = take_8(&input);
        switch (call & 7u) {
        case 4u:
            if (variant_a.learning) {
                import(self, &input, call);
            }
            break;
        case 5u:
            for (int v = 0; v < 2; v++) {
                if ((call >> 3) % 4u == 0u) {
                    variants[v]->init(self[v]);
                } else {
                    variants[v]->set_learning(self[v], (call & 8u) != 0u);
                }
            }
            break;
        case 6u:
            for (int v = 0; v < 2; v++) {
                variants[v]->reset(self[v]);
            }
            break;
        default: step(self, &input, (uint8_t)((call & 3u) | (call & 0xF8u)), &now_us); break;
        }
    }
    same_state(self);
    for (int v = 0; v < 2; v++) {
        free(self[v]);
    }
    return 0;
}
