/* One build of the emitted library, its names renamed so that several can stand side by side. */
#ifndef VARIANT_H
#define VARIANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VARIANT_SIGNALS 32u

typedef struct {
    size_t bytes;       /* sizeof(feast_t) */
    size_t event_bytes; /* sizeof(feast_event_t); the time comes first */
    uint32_t width, height, features, state_words, snapshot_words;
    bool learning;
    void (*init)(void *self);
    void (*reset)(void *self);
    int16_t (*step)(void *self, const void *event);
    uint16_t (*word)(const void *self, uint32_t index);
    void (*set_learning)(void *self, bool on);
    void (*import_word)(void *self, uint32_t index, uint16_t word);
    bool (*import_finish)(void *self);
    uint32_t (*query)(const void *self, uint32_t feature);       /* of all that a feature can be asked */
    void (*event)(void *event, uint64_t t_us, uint16_t x, uint16_t y); /* sets these, leaves the rest */
} variant_t;

extern const variant_t variant_a, variant_b;

#endif
