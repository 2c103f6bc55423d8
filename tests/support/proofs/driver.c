/* Carries out a script of calls of the emitted library and writes everything it answers to standard output.
 * The script is bytes, integers little-endian, so that every machine reads the same:
 *   e t:8 x:2 y:2 polarity:1   feast_step           answers the result, 2 bytes
 *   r, i                       feast_reset, feast_init
 *   l on:1                     feast_set_learning
 *   w index:4 word:2           feast_import_word
 *   f                          feast_import_finish  answers 1 or 0, 2 bytes
 *   s                          all words of the snapshot, 2 bytes each
 *   q                          signals, wins and thresholds, 4 bytes each; scores, 8 bytes, and class, 4
 * Exit 3: the script is damaged. */
#include "feast.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t take(unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        const int c = getchar();
        if (c == EOF) {
            exit(3);
        }
        value |= (uint64_t)(unsigned)c << (8u * i);
    }
    return value;
}

static void answer(uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        putchar((int)((value >> (8u * i)) & 0xFFu));
    }
}

static void query(const feast_t *self)
{
    feast_signals_t signals;
    feast_signals(self, &signals);
    answer(signals.hits, 4);
    answer(signals.misses, 4);
    answer(signals.border, 4);
    answer(signals.outside, 4);
    answer(signals.backwards, 4);
    answer(signals.window_events, 4);
    answer(signals.window_misses, 4);
    answer(signals.last_window_misses, 4);
    for (uint32_t n = 0; n < FEAST_FEATURES; n++) {
        answer(feast_wins(self, n), 4);
        answer((uint32_t)feast_threshold(self, n), 4);
    }
    /* Out of range: 0, and nothing else happens. */
    if (feast_wins(self, FEAST_FEATURES) != 0u || feast_threshold(self, UINT32_MAX) != 0
        || feast_snapshot_word(self, FEAST_SNAPSHOT_WORDS) != 0u) {
        exit(4);
    }
#if defined(FEAST_CLASSES) && FEAST_FADES
    feast_decision_t decision;
    feast_classify(self, &decision);
    answer((uint16_t)decision.label, 2);
    answer(decision.margin, 4);
    answer(decision.typicality, 2);
    answer(decision.abstains, 1);
#elif defined(FEAST_CLASSES)
    if (feast_score(self, FEAST_CLASSES) != 0) {
        exit(4);
    }
    for (uint32_t i = 0; i < FEAST_CLASSES; i++) {
        answer((uint64_t)feast_score(self, i), 8);
    }
    answer((uint32_t)feast_class(self), 4);
#endif
}

/* Leaves no zeros where the next call has its variables: one that is not set shows. */
static void dirty_stack(void)
{
    volatile uint8_t bytes[2048];
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = 0xA5u;
    }
}

static void step(feast_t *self)
{
    feast_event_t event;
    event.t_us = take(8);
    event.x = (uint16_t)take(2);
    event.y = (uint16_t)take(2);
    event.polarity = (uint8_t)take(1);
    dirty_stack();
    answer((uint16_t)feast_step(self, &event), 2);
}

#if FEAST_LEARNING
static void import_word(feast_t *self)
{
    const uint32_t index = (uint32_t)take(4);
    feast_import_word(self, index, (uint16_t)take(2));
}
#endif

int main(void)
{
    feast_t *self = (feast_t *)malloc(sizeof *self); /* of its exact size: a byte beyond it is an error */
    int c;
    if (self == NULL) {
        return 3;
    }
    feast_init(self);
    while ((c = getchar()) != EOF) {
        switch (c) {
        case 'e': step(self); break;
        case 'r': feast_reset(self); break;
        case 'i': feast_init(self); break;
        case 'q': query(self); break;
        case 's':
            for (uint32_t i = 0; i < FEAST_SNAPSHOT_WORDS; i++) {
                answer(feast_snapshot_word(self, i), 2);
            }
            break;
#if FEAST_LEARNING
        case 'l': feast_set_learning(self, take(1) != 0); break;
        case 'w': import_word(self); break;
        case 'f': answer(feast_import_finish(self) ? 1u : 0u, 2); break;
#endif
        default: return 3;
        }
    }
    free(self);
    return 0;
}
