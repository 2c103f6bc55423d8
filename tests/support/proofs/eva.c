/* What Frama-C's EVA analyses: any calls of the public interface, in any order, with any index and any
 * event. Every `any_` below is a value the analyser knows nothing about but its type. */
#include "feast.h"

extern volatile uint64_t any_64;
extern volatile uint32_t any_32;
extern volatile uint16_t any_16;
extern volatile uint8_t any_8;

static feast_t network;

#ifdef FEAST_INPUT
#include "feast_input.h"

#define BYTES 16u

/* Any bytes, from any address, in pieces of any length. */
static void decode(void)
{
    static uint8_t bytes[BYTES];
    static feast_event_t events[FEAST_EVT2_EVENTS(BYTES)];
    static feast_evt2_t evt2;
    static feast_rows_t rows;
    static feast_edvs_t edvs;
    feast_evt2_init(&evt2);
    feast_rows_init(&rows);
    (void)feast_edvs_init(&edvs, any_32);
    while (any_8 != 0u) {
        const uint32_t count = any_32 % (BYTES + 1u);
        for (uint32_t i = 0; i < BYTES; i++) {
            bytes[i] = any_8;
        }
        (void)feast_evt2_decode(&evt2, bytes, count, events);
        (void)feast_rows_decode(&rows, bytes, count, events);
        (void)feast_edvs_decode(&edvs, bytes, count, events);
    }
}
#else
static void decode(void) { }
#endif

int main(void)
{
    decode();
    feast_init(&network);
    while (any_8 != 0u) {
        feast_event_t event;
        int16_t result;
        feast_signals_t signals;
        event.t_us = any_64;
        event.x = any_16;
        event.y = any_16;
        event.polarity = any_8;
        switch (any_8) {
        case 0u: feast_init(&network); break;
        case 1u: feast_reset(&network); break;
        case 2u: feast_signals(&network, &signals); break;
        case 3u:
            (void)feast_wins(&network, any_32);
            (void)feast_threshold(&network, any_32);
            break;
        case 4u: (void)feast_snapshot_word(&network, any_32); break;
#ifdef FEAST_CLASSES
        case 7u:
            (void)feast_score(&network, any_32);
            (void)feast_class(&network);
            break;
#endif
#if FEAST_LEARNING
        case 5u: feast_set_learning(&network, any_8 != 0u); break;
        case 6u:
            while (any_8 != 0u) {
                feast_import_word(&network, any_32, any_16);
            }
            (void)feast_import_finish(&network);
            break;
#endif
        case 8u: feast_step_many(&network, &event, any_8 % 2u, &result); break;
        default: (void)feast_step(&network, &event); break;
        }
    }
    return 0;
}
