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
#ifndef FEAST_FEATURES_PER_BANK
#define FEAST_FEATURES_PER_BANK 16
#endif
#define FEAST_BANKS 1
#define FEAST_FEATURES FEAST_FEATURES_PER_BANK
#ifndef FEAST_LEARNING
#define FEAST_LEARNING 1
#endif
#define FEAST_SELECT_THRESHOLD 0
#define FEAST_MODEL_ID_BYTES { 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10 }
#define FEAST_BUILD_ID_BYTES { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef }
#define FEAST_OUTSIDE (-3)
#define FEAST_BACKWARDS (-4)
#define FEAST_STATE_WORDS 4u
#define FEAST_LEARNED_MAX 0xFFFFFFFFu
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
    uint32_t outside;
    uint32_t backwards;
    uint64_t learned; /* events seen while learning, at most FEAST_LEARNED_MAX: the toy's learned state */
    bool learning;
} feast_t;

void feast_init(feast_t *self);
void feast_reset(feast_t *self);
int16_t feast_step(feast_t *self, const feast_event_t *event);
uint16_t feast_snapshot_word(const feast_t *self, uint32_t index);

typedef struct {
    uint32_t hits;
    uint32_t misses;
    uint32_t border;
    uint32_t outside;
    uint32_t backwards;
    uint16_t window_events;
    uint16_t window_misses;
    uint16_t last_window_misses;
    uint32_t filtered;
} feast_signals_t;

void feast_signals(const feast_t *self, feast_signals_t *signals);
int32_t feast_threshold(const feast_t *self, uint32_t feature);
uint32_t feast_wins(const feast_t *self, uint32_t feature);
#ifdef FEAST_CLASSES
#ifndef FEAST_FADES
#define FEAST_FADES 0
#endif
#if FEAST_FADES
typedef struct {
    uint32_t margin;
    int16_t label;
    uint16_t typicality;
    bool abstains;
} feast_decision_t;
void feast_classify(const feast_t *self, feast_decision_t *decision);
#else
int64_t feast_score(const feast_t *self, uint32_t index);
int32_t feast_class(const feast_t *self);
#endif
#endif
#if FEAST_LEARNING
void feast_import_word(feast_t *self, uint32_t index, uint16_t word);
bool feast_import_finish(feast_t *self);
void feast_set_learning(feast_t *self, bool learning);
#endif

#endif
