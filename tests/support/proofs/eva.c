/* What Frama-C's EVA analyses: any calls of the public interface, in any order, with any index and any
 * event. Every `any_` below is a value the analyser knows nothing about but its type. */
#include "feast.h"

extern volatile uint64_t any_64;
extern volatile uint32_t any_32;
extern volatile uint16_t any_16;
extern volatile uint8_t any_8;

static feast_t network;

int main(void)
{
    feast_init(&network);
    while (any_8 != 0u) {
        feast_event_t event;
        feast_signals_t signals;
#if defined(FEAST_CLASSES) && FEAST_FADES
        feast_decision_t decision;
#endif
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
#if defined(FEAST_CLASSES) && FEAST_FADES
        case 7u: feast_classify(&network, &decision); break;
#elif defined(FEAST_CLASSES)
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
        default: (void)feast_step(&network, &event); break;
        }
    }
    return 0;
}
