/* A stand-in for the emitted library with the same interface: a result is
 * (31 x + 7 y + polarity + events so far) % FEAST_FEATURES, so that every lost, repeated or swapped event shows. */
#ifndef FEAST_H
#define FEAST_H

#include <stdbool.h>
#include <stdint.h>

#ifndef FEAST_SENSOR_WIDTH
#define FEAST_SENSOR_WIDTH 34
#endif
#define FEAST_SENSOR_HEIGHT 34
#define FEAST_RADIUS 5
#ifndef FEAST_NEURONS
#define FEAST_NEURONS 16
#endif
#define FEAST_BANKS 1
#define FEAST_FEATURES FEAST_NEURONS
#ifndef FEAST_LEARNING
#define FEAST_LEARNING 1
#endif
#define FEAST_SELECT_THRESHOLD 0
#define FEAST_BUILD_ID_BYTES { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef }
#define FEAST_OUTSIDE (-3)
#define FEAST_BACKWARDS (-4)
#define FEAST_STATE_WORDS 4u
#define FEAST_SNAPSHOT_WORDS 12u

typedef struct {
    uint64_t t_us;
    uint16_t x;
    uint16_t y;
    uint8_t polarity;
} feast_event_t;

typedef struct {
    uint64_t t_us;
    uint32_t events;
    uint32_t learned; /* events seen while learning: the toy's learned state */
    bool learning;
} feast_t;

void feast_init(feast_t *self);
void feast_reset(feast_t *self);
int16_t feast_step(feast_t *self, const feast_event_t *event);
uint16_t feast_snapshot_word(const feast_t *self, uint32_t index);
#if FEAST_LEARNING
void feast_set_learning(feast_t *self, bool learning);
#endif

#endif
