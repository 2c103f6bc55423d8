/* Every public function with indices in and out of range; exit 0 if what is out of range gives 0 and changes
 * nothing. The state lies on the heap, so that the address sanitizer sees a step beyond it. */
#include "feast.h"

#include <stdlib.h>
#include <string.h>

static const uint32_t around[] = { 0u, 1u, 2u, 3u, 5u, 16u, 255u, 4095u, 65535u, 0x3FFFFFFFu, 0x40000000u, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFFu };
#define AROUND (sizeof around / sizeof around[0])

static void check(bool holds)
{
    if (!holds) {
        exit(1);
    }
}

static void check_accessors(const feast_t *self, uint32_t index)
{
    const uint32_t wins = feast_wins(self, index);
    const int32_t threshold = feast_threshold(self, index);
    check(index < FEAST_FEATURES || (wins == 0u && threshold == 0));
    check(feast_snapshot_word(self, index) == 0u || index < FEAST_SNAPSHOT_WORDS);
#if defined(FEAST_CLASSES) && FEAST_FADES
    feast_decision_t decision;
    feast_classify(self, &decision);
    check(decision.label >= -1 && decision.label < (int32_t)FEAST_CLASSES);
#elif defined(FEAST_CLASSES)
    check(feast_score(self, index) == 0 || index < FEAST_CLASSES);
    check(feast_class(self) < (int32_t)FEAST_CLASSES);
#endif
#if FEAST_LEARNING
    feast_t *copy = malloc(sizeof *copy);
    check(copy != NULL);
    memcpy(copy, self, sizeof *copy);
    feast_import_word(copy, index, 0x5AA5u);
    check(index < FEAST_STATE_WORDS || memcmp(copy, self, sizeof *copy) == 0);
    (void)feast_import_finish(copy);
    feast_set_learning(copy, index % 2u == 0u);
    const feast_event_t event = { 10u, 1u, 1u, 1u };
    check(feast_step(copy, &event) < (int32_t)FEAST_FEATURES);
    free(copy);
#endif
}

static void check_all(const feast_t *self)
{
    const uint32_t limits[] = {
        0u,
        FEAST_FEATURES,
        FEAST_STATE_WORDS,
        FEAST_SNAPSHOT_WORDS,
#ifdef FEAST_CLASSES
        FEAST_CLASSES,
#endif
    };
    for (uint32_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        for (uint32_t k = 0; k < AROUND; k++) {
            check_accessors(self, limits[i] + around[k]);
            check_accessors(self, limits[i] - around[k]);
        }
    }
    feast_signals_t signals;
    feast_signals(self, &signals);
    check(signals.hits + signals.misses + signals.outside + signals.backwards > 0u);
}

int main(void)
{
    feast_t *self = malloc(sizeof *self);
    check(self != NULL);
    feast_init(self);
    for (uint32_t i = 0; i < 400u; i++) {
        const feast_event_t event = { 20u * i, (uint16_t)(i % 11u), (uint16_t)(i % 7u), (uint8_t)(i % 3u) };
        (void)feast_step(self, &event);
    }
    for (uint32_t k = 0; k < AROUND; k++) {
        const feast_event_t event = { around[AROUND - 1u - k], (uint16_t)around[k], (uint16_t)(around[k] / 3u), (uint8_t)around[k] };
        (void)feast_step(self, &event);
    }
    check_all(self);
    feast_reset(self);
    free(self);
    return 0;
}
