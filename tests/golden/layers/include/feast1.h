/* FEAST 8x6, 3 features of 3x3: public interface.
 * Generated; change the model or the templates instead. Model 2ce85ac37437e324, build da2d766f6b2902d4. */

#ifndef FEAST1_H
#define FEAST1_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* FEAST, feature extraction with adaptive selection thresholds (Afshar et al., arXiv 1907.07853), for one
 * event camera: each event is compared with 3 learned features over the 3x3 patch of the time
 * surface around it.
 *
 *   static feast1_t feast;                       about 232 bytes, yours, anywhere in RAM
 *   feast1_init(&feast);
 *   for each event: int16_t id = feast1_step(&feast, &event);
 *
 * About 2259 bytes of flash and 176 of stack on a Cortex-M at -O2 (GCC 12).
 * Integers only, no heap, no globals but constant tables. Functions are reentrant for different feast1_t;
 * one feast1_t must not be used from two contexts at once. Arithmetic: docs/numerics.md of the generator. */

#define FEAST1_API_MAJOR 1
#define FEAST1_API_MINOR 0
#define FEAST1_API_PATCH 0

/* The model this was generated from, and what a host must agree with to talk to it: geometry, options,
 * number formats and link protocol. */
#define FEAST1_MODEL_ID "2ce85ac37437e324e28589cc45eedf8c278b288fe8947a84b4ce13227977e274"
#define FEAST1_BUILD_ID "da2d766f6b2902d4"
#define FEAST1_BUILD_ID_BYTES { 0xda, 0x2d, 0x76, 0x6f, 0x6b, 0x29, 0x02, 0xd4 }

#define FEAST1_SENSOR_WIDTH 8u
#define FEAST1_SENSOR_HEIGHT 6u
#define FEAST1_RADIUS 1u
#define FEAST1_SIDE 3u
#define FEAST1_NEURONS 3u /* features per bank */
#define FEAST1_BANKS 1u
#define FEAST1_FEATURES 3u /* results are 0 .. FEAST1_FEATURES - 1, or a code below */
#define FEAST1_LEARNING 0 /* 1: features live in RAM and adapt; 0: constant tables */
#define FEAST1_SELECT_THRESHOLD 0 /* 1: while frozen, a feature must be in range of its threshold */

/* Results other than a feature id. */
#define FEAST1_MISS (-1)      /* no feature in range of its selection threshold */
#define FEAST1_BORDER (-2)    /* border policy `skip`: no full patch around the event */
#define FEAST1_OUTSIDE (-3)   /* not on the sensor; counted, nothing changed */
#define FEAST1_BACKWARDS (-4) /* earlier than the last accepted event; counted, nothing changed */

typedef struct {
    uint64_t t_us; /* microseconds, from any origin */
    uint16_t x;    /* 0 .. FEAST1_SENSOR_WIDTH - 1, to the right */
    uint16_t y;    /* 0 .. FEAST1_SENSOR_HEIGHT - 1, downwards */
    uint8_t polarity; /* 0 darker, anything else brighter */
} feast1_event_t;

/* The whole state. Plain memory, valid after feast1_init; treat the members as private. */
typedef struct {
    uint64_t t_us; /* time of the last accepted event */
    uint64_t octave; /* octaves of tau * ln 2 since the first event */
    int16_t surface[76]; /* rows of cells with zero margins */
    uint32_t wins[3]; /* events each feature won */
    uint32_t row_octave[6]; /* octave each surface row was brought up to, low bits */
    uint32_t phase; /* position within the octave, 1/256 us */
    uint32_t misses; /* missed events */
    uint32_t border; /* events without a full patch */
    uint32_t outside; /* events off the sensor */
    uint32_t backwards; /* events out of order */
    uint16_t window_events; /* compared events in the current window */
    uint16_t window_misses; /* missed events among them */
    uint16_t last_window_misses; /* missed events in the last full window */
    bool started; /* an event was accepted since the reset */
} feast1_t;

/* What a running network says about itself. Counters are modulo 2^32 and run since feast1_init. */
typedef struct {
    uint32_t hits;
    uint32_t misses;
    uint32_t border;
    uint32_t outside;
    uint32_t backwards;
    uint16_t window_events;      /* compared events in the current window of 1024 */
    uint16_t window_misses;      /* missed events among them */
    uint16_t last_window_misses; /* missed events in the last full window */
} feast1_signals_t;

/* Takes the model's weights and thresholds, clears surfaces and counters. */
void feast1_init(feast1_t *self);

/* Starts a new recording: surfaces and time are cleared; what was learned and counted stays. */
void feast1_reset(feast1_t *self);

/* Processes one event. Returns the id of its feature, or one of the codes above.
 * Cost is about FEAST1_NEURONS * FEAST1_SIDE^2 multiply-accumulates, whatever the event. */
int16_t feast1_step(feast1_t *self, const feast1_event_t *event);

void feast1_signals(const feast1_t *self, feast1_signals_t *signals);

/* Times feature `feature` (0 .. FEAST1_FEATURES - 1) won since feast1_init, modulo 2^32. */
uint32_t feast1_wins(const feast1_t *self, uint32_t feature);

/* Selection threshold of a feature, Q30: 2^30 is a cosine of 1. */
int32_t feast1_threshold(const feast1_t *self, uint32_t feature);

/* The state in canonical form, word by word: the first FEAST1_STATE_WORDS are what was learned (weights,
 * thresholds, dither), all FEAST1_SNAPSHOT_WORDS define every future result. Order: docs/numerics.md
 * section 8. `index` must be below FEAST1_SNAPSHOT_WORDS. */
#define FEAST1_STATE_WORDS 35u
#define FEAST1_SNAPSHOT_WORDS 112u
uint16_t feast1_snapshot_word(const feast1_t *self, uint32_t index);

#ifdef __cplusplus
}
#endif

#endif
