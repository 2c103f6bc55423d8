/* FEAST 8x6, 3 features of 3x3: public interface.
 * Generated; change the model or the templates instead. Model 913dc05fb71307f2, build ff1c8fed089b5a78. */

#ifndef FEAST2_H
#define FEAST2_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* FEAST, feature extraction with adaptive selection thresholds (Afshar et al., arXiv 1907.07853), for one
 * event camera: each event is compared with 3 learned features over the 3x3 patch of the time
 * surface around it.
 *
 *   static feast2_t feast;                       about 888 bytes, yours, anywhere in RAM
 *   feast2_init(&feast);
 *   for each event: int16_t id = feast2_step(&feast, &event);
 *
 * About 4542 bytes of flash and 378 of stack on a Cortex-M at -O2 (GCC 12).
 * Integers only, no heap, no globals but constant tables. Functions are reentrant for different feast2_t;
 * one feast2_t must not be used from two contexts at once. Arithmetic: docs/numerics.md of the generator. */

#define FEAST2_API_MAJOR 1
#define FEAST2_API_MINOR 0
#define FEAST2_API_PATCH 0

/* The model this was generated from, and what a host must agree with to talk to it: geometry, options,
 * number formats and link protocol. */
#define FEAST2_MODEL_ID "913dc05fb71307f28483c28b532533b33953291ffd6b4b69b92dec18875428b0"
#define FEAST2_BUILD_ID "ff1c8fed089b5a78"
#define FEAST2_BUILD_ID_BYTES { 0xff, 0x1c, 0x8f, 0xed, 0x08, 0x9b, 0x5a, 0x78 }

#define FEAST2_SENSOR_WIDTH 8u
#define FEAST2_SENSOR_HEIGHT 6u
#define FEAST2_RADIUS 1u
#define FEAST2_SIDE 3u
#define FEAST2_NEURONS 3u /* features per bank */
#define FEAST2_BANKS 1u
#define FEAST2_FEATURES 3u /* results are 0 .. FEAST2_FEATURES - 1, or a code below */
#define FEAST2_LEARNING 1 /* 1: features live in RAM and adapt; 0: constant tables */
#define FEAST2_SELECT_THRESHOLD 0 /* 1: while frozen, a feature must be in range of its threshold */

/* Results other than a feature id. */
#define FEAST2_MISS (-1)      /* no feature in range of its selection threshold */
#define FEAST2_BORDER (-2)    /* border policy `skip`: no full patch around the event */
#define FEAST2_OUTSIDE (-3)   /* not on the sensor; counted, nothing changed */
#define FEAST2_BACKWARDS (-4) /* earlier than the last accepted event; counted, nothing changed */

typedef struct {
    uint64_t t_us; /* microseconds, from any origin */
    uint16_t x;    /* 0 .. FEAST2_SENSOR_WIDTH - 1, to the right */
    uint16_t y;    /* 0 .. FEAST2_SENSOR_HEIGHT - 1, downwards */
    uint16_t channel; /* feature of the layer below, 0 .. 2 */
} feast2_event_t;

/* The whole state. Plain memory, valid after feast2_init; treat the members as private. */
typedef struct {
    uint64_t t_us; /* time of the last accepted event */
    uint64_t octave; /* octaves of tau * ln 2 since the first event */
    int16_t surface[220]; /* rows of cells with zero margins */
    uint32_t weights[72]; /* features, Q15, two to a word */
    int32_t thresholds[3]; /* selection thresholds, Q30 */
    uint32_t norm2[3]; /* squared norm of each feature, Q30 */
    uint32_t dither; /* generator that makes rounding unbiased */
    uint32_t wins[3]; /* events each feature won */
    uint32_t row_octave[18]; /* octave each surface row was brought up to, low bits */
    uint32_t phase; /* position within the octave, 1/256 us */
    uint32_t misses; /* missed events */
    uint32_t border; /* events without a full patch */
    uint32_t outside; /* events off the sensor */
    uint32_t backwards; /* events out of order */
    uint16_t window_events; /* compared events in the current window */
    uint16_t window_misses; /* missed events among them */
    uint16_t last_window_misses; /* missed events in the last full window */
    bool started; /* an event was accepted since the reset */
    bool learning; /* features adapt */
} feast2_t;

/* What a running network says about itself. Counters are modulo 2^32 and run since feast2_init. */
typedef struct {
    uint32_t hits;
    uint32_t misses;
    uint32_t border;
    uint32_t outside;
    uint32_t backwards;
    uint16_t window_events;      /* compared events in the current window of 1024 */
    uint16_t window_misses;      /* missed events among them */
    uint16_t last_window_misses; /* missed events in the last full window */
} feast2_signals_t;

/* Takes the model's weights and thresholds, clears surfaces and counters, switches learning on. */
void feast2_init(feast2_t *self);

/* Starts a new recording: surfaces and time are cleared; what was learned and counted stays. */
void feast2_reset(feast2_t *self);

/* Processes one event. Returns the id of its feature, or one of the codes above.
 * Cost is about FEAST2_NEURONS * 3 * FEAST2_SIDE^2 multiply-accumulates, less where channels are quiet. */
int16_t feast2_step(feast2_t *self, const feast2_event_t *event);

void feast2_signals(const feast2_t *self, feast2_signals_t *signals);

/* Times feature `feature` (0 .. FEAST2_FEATURES - 1) won since feast2_init, modulo 2^32. */
uint32_t feast2_wins(const feast2_t *self, uint32_t feature);

/* Selection threshold of a feature, Q30: 2^30 is a cosine of 1. */
int32_t feast2_threshold(const feast2_t *self, uint32_t feature);

/* The state in canonical form, word by word: the first FEAST2_STATE_WORDS are what was learned (weights,
 * thresholds, dither), all FEAST2_SNAPSHOT_WORDS define every future result. Order: docs/numerics.md
 * section 8. `index` must be below FEAST2_SNAPSHOT_WORDS. */
#define FEAST2_STATE_WORDS 89u
#define FEAST2_SNAPSHOT_WORDS 262u
uint16_t feast2_snapshot_word(const feast2_t *self, uint32_t index);

/* Learning on or off. While off, features and thresholds stay as they are. */
void feast2_set_learning(feast2_t *self, bool learning);

/* Replaces the learned state: give all FEAST2_STATE_WORDS words, in any order, then call
 * feast2_import_finish before the next event. It returns false, and puts the model's own state back, if a
 * value is out of range. */
void feast2_import_word(feast2_t *self, uint32_t index, uint16_t word);
bool feast2_import_finish(feast2_t *self);

#ifdef __cplusplus
}
#endif

#endif
