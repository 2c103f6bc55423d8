/* Slots of any content: what is loaded is whole and sound, or nothing is; a state is kept regardless of what was there
 * before, and the one before survives a failure of the power.
 * Input: a byte of choices, then for both slots changes to a kept state: place, byte; then events. */
#include "flash.h"

#include "feast.h"

#define AT_NUMBER 12u

static void words_of(const feast_t *feast, uint16_t *words)
{
    for (uint32_t i = 0; i < FEAST_STATE_WORDS; i++) {
        words[i] = feast_snapshot_word(feast, i);
    }
}

static bool holds(const feast_t *feast, const uint16_t *words)
{
    uint16_t held[FEAST_STATE_WORDS];
    words_of(feast, held);
    return memcmp(held, words, sizeof held) == 0;
}

static void put_32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

/* Overwrites bytes of a slot; with `seal` its checksum is made right again. */
static void change(uint32_t slot, uint32_t changes, bool seal, input_t *input)
{
    for (uint32_t i = 0; i < changes; i++) {
        const uint32_t at = take_16(input) % PERSIST_SLOT_BYTES;
        flash[slot][at] = take_8(input);
    }
    if (seal) {
        put_32(&flash[slot][PERSIST_SLOT_BYTES - PERSIST_UNIT_BYTES], plain_crc32(flash[slot], PERSIST_BODY_BYTES));
    }
}

static void run(feast_t *feast, input_t *input, uint32_t events)
{
    static uint64_t now_us;
    for (uint32_t i = 0; i < events; i++) {
        feast_event_t event;
        memset(&event, 0, sizeof event);
        now_us += take_8(input);
        event.t_us = now_us;
        event.x = (uint16_t)(take_8(input) % (FEAST_SENSOR_WIDTH + 1));
        event.y = (uint16_t)(take_8(input) % FEAST_SENSOR_HEIGHT);
        (void)feast_step(feast, &event);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    input_t input = {bytes, size};
    uint16_t first[FEAST_STATE_WORDS];
    uint16_t kept[FEAST_STATE_WORDS];
    uint16_t before[FEAST_STATE_WORDS];
    feast_t *feast = malloc(sizeof *feast);
    const uint8_t choice = take_8(&input);
    flash_left = UINT32_MAX;
    memset(flash, (choice & 1u) != 0u ? 0xFF : 0x00, sizeof flash);
    feast_init(feast);
    words_of(feast, first);
    if ((choice & 2u) != 0u) { /* both slots hold a state */
        CHECK(persist_save(feast));
        for (uint32_t i = 0; i < 8u; i++) { /* learns */
            const feast_event_t event = {.t_us = i, .x = 1, .y = 1};
            (void)feast_step(feast, &event);
        }
        CHECK(persist_save(feast));
        feast_init(feast);
    }
    for (uint32_t slot = 0; slot < PERSIST_SLOTS; slot++) {
        change(slot, take_8(&input) % 16u, (choice & (4u << slot)) != 0u, &input);
    }

    /* Loading: all or nothing. */
    const uint32_t number = persist_times();
    const bool loaded = persist_load(feast);
    CHECK(loaded ? number != 0u : holds(feast, first));
    words_of(feast, before);
    run(feast, &input, take_8(&input) % 16u);
    words_of(feast, kept);

    /* Keeping, perhaps with a failure of the power on the way; then power on again. */
    if ((choice & 32u) != 0u) {
        flash_left = take_8(&input);
        flash_part = take_8(&input) % PERSIST_UNIT_BYTES;
    }
    const bool saved = persist_save(feast);
    flash_left = UINT32_MAX;
    feast_init(feast);
    const bool again = persist_load(feast);
    if (saved) {
        CHECK(again && holds(feast, kept));
        if (!loaded || memcmp(before, kept, sizeof kept) != 0) { /* else it was there already */
            CHECK(persist_times() == (number + 1u == 0u ? 1u : number + 1u));
        }
    } else if (loaded) {
        CHECK(again && (holds(feast, before) || holds(feast, kept)));
    }
    run(feast, &input, 4u);
    free(feast);
    return 0;
}
