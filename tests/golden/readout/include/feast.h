/* FEAST 8x6, 3 features of 3x3: public interface.
 * Generated; change the model or the templates instead. Model 599197ec5cbfe590, build 9983abc46f159fd9. */

#ifndef FEAST_H
#define FEAST_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* FEAST, feature extraction with adaptive selection thresholds (Afshar et al., arXiv 1907.07853), for one
 * event camera: each event is compared with 3 learned features over the 3x3 patch of the time
 * surface around it.
 *
 *   static feast_t feast;                       about 256 bytes, yours, anywhere in RAM
 *   feast_init(&feast);
 *   for each event: int16_t id = feast_step(&feast, &event);
 *
 * About 2659 bytes of flash and 176 of stack on a Cortex-M at -O2 (GCC 12).
 * Integers only, no heap, no globals but constant tables. Functions are reentrant for different feast_t;
 * one feast_t must not be used from two contexts at once. Arithmetic: docs/numerics.md of the generator. */

#define FEAST_API_MAJOR 1
#define FEAST_API_MINOR 0
#define FEAST_API_PATCH 0

/* The model this was generated from, and what a host must agree with to talk to it: geometry, options,
 * number formats and link protocol. */
#define FEAST_MODEL_ID "599197ec5cbfe59087555a3967aa7c7a22651d7517be608102ba8aa8bc953d2d"
#define FEAST_BUILD_ID "9983abc46f159fd9"
#define FEAST_BUILD_ID_BYTES { 0x99, 0x83, 0xab, 0xc4, 0x6f, 0x15, 0x9f, 0xd9 }

#define FEAST_SENSOR_WIDTH 8u
#define FEAST_SENSOR_HEIGHT 6u
#define FEAST_RADIUS 1u
#define FEAST_SIDE 3u
#define FEAST_NEURONS 3u /* features per bank */
#define FEAST_BANKS 1u
#define FEAST_FEATURES 3u /* results are 0 .. FEAST_FEATURES - 1, or a code below */
#define FEAST_LEARNING 0 /* 1: features live in RAM and adapt; 0: constant tables */
#define FEAST_SELECT_THRESHOLD 0 /* 1: while frozen, a feature must be in range of its threshold */
#define FEAST_CLASSES 3u /* class scores are kept; this macro is missing where they are not */
#define FEAST_CLASS_LABELS \
    { "0", "1", "2" }

/* Results other than a feature id. */
#define FEAST_MISS (-1)      /* no feature in range of its selection threshold */
#define FEAST_BORDER (-2)    /* border policy `skip`: no full patch around the event */
#define FEAST_OUTSIDE (-3)   /* not on the sensor; counted, nothing changed */
#define FEAST_BACKWARDS (-4) /* earlier than the last accepted event; counted, nothing changed */

typedef struct {
    uint64_t t_us; /* microseconds, from any origin */
    uint16_t x;    /* 0 .. FEAST_SENSOR_WIDTH - 1, to the right */
    uint16_t y;    /* 0 .. FEAST_SENSOR_HEIGHT - 1, downwards */
    uint8_t polarity; /* 0 darker, anything else brighter */
} feast_event_t;

/* The whole state. Plain memory, valid after feast_init; treat the members as private. */
typedef struct {
    uint64_t t_us; /* time of the last accepted event */
    uint64_t octave; /* octaves of tau * ln 2 since the first event */
    int64_t scores[3]; /* sums of readout rows since the reset */
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
    bool scored; /* an event was scored since the reset */
} feast_t;

/* What a running network says about itself. Counters are modulo 2^32 and run since feast_init. */
typedef struct {
    uint32_t hits;
    uint32_t misses;
    uint32_t border;
    uint32_t outside;
    uint32_t backwards;
    uint16_t window_events;      /* compared events in the current window of 1024 */
    uint16_t window_misses;      /* missed events among them */
    uint16_t last_window_misses; /* missed events in the last full window */
} feast_signals_t;

/* Takes the model's weights and thresholds, clears surfaces and counters. */
void feast_init(feast_t *self);

/* Starts a new recording: surfaces, scores and time are cleared; what was learned and counted stays. */
void feast_reset(feast_t *self);

/* Processes one event. Returns the id of its feature, or one of the codes above.
 * Cost is about FEAST_NEURONS * FEAST_SIDE^2 multiply-accumulates, whatever the event. */
int16_t feast_step(feast_t *self, const feast_event_t *event);

/* Score of class `index` (0 .. FEAST_CLASSES - 1) since the reset: what each event that a feature won says
 * about it, added up. Only the order of scores counts; a score divided by 2^13 and by the number of such
 * events is the value the readout was fitted to give. */
int64_t feast_score(const feast_t *self, uint32_t index);

/* Class with the largest score, index into FEAST_CLASS_LABELS, the lowest of equals; -1 before a feature
 * has won since the reset. Cost is FEAST_CLASSES comparisons. */
int32_t feast_class(const feast_t *self);

void feast_signals(const feast_t *self, feast_signals_t *signals);

/* Times feature `feature` (0 .. FEAST_FEATURES - 1) won since feast_init, modulo 2^32. */
uint32_t feast_wins(const feast_t *self, uint32_t feature);

/* Selection threshold of a feature, Q30: 2^30 is a cosine of 1. */
int32_t feast_threshold(const feast_t *self, uint32_t feature);

/* The state in canonical form, word by word: the first FEAST_STATE_WORDS are what was learned (weights,
 * thresholds, dither), all FEAST_SNAPSHOT_WORDS define every future result. Order: docs/numerics.md
 * section 8. `index` must be below FEAST_SNAPSHOT_WORDS. */
#define FEAST_STATE_WORDS 35u
#define FEAST_SNAPSHOT_WORDS 125u
uint16_t feast_snapshot_word(const feast_t *self, uint32_t index);

#ifdef __cplusplus
}
#endif

#endif
