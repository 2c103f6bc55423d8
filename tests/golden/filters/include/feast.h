/* FEAST 8x6, 3 features of 3x3: public interface.
 * Generated; change the model or the templates instead. Model 5742232368656070, build f4fe4b60d8c839d5. */

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
 *   static feast_t feast;                       about 392 bytes, yours, anywhere in RAM
 *   feast_init(&feast);
 *   for each event: int16_t id = feast_step(&feast, &event);
 *
 * About 2973 bytes of flash and 176 of stack on a Cortex-M at -O2 (GCC 12).
 *
 * Events are given in pixels of the 15x12 camera. Filters leave some out and place the others:
 * hot pixels: 2, refractory 100 us in cells of 2x2, background 2000 us in cells of 2x2, downsampled
 * 15x12 to 8x6.
 *
 * Integers only, no heap, no globals but constant tables. Functions are reentrant for different feast_t;
 * one feast_t must not be used from two contexts at once. Arithmetic: docs/numerics.md of the generator. */

#define FEAST_API_MAJOR 1
#define FEAST_API_MINOR 0
#define FEAST_API_PATCH 0

/* The model this was generated from, and what a host must agree with to talk to it: geometry, options,
 * number formats and link protocol. */
#define FEAST_MODEL_ID "57422323686560706900947478e3dabb4e66ea6fe8396515c4ea5344ac0add4b"
#define FEAST_BUILD_ID "f4fe4b60d8c839d5"
#define FEAST_BUILD_ID_BYTES { 0xf4, 0xfe, 0x4b, 0x60, 0xd8, 0xc8, 0x39, 0xd5 }

/* What events are given in: pixels of the camera. A pixel of the network is 2^FEAST_DOWNSAMPLE of them wide and high. */
#define FEAST_CAMERA_WIDTH 15u
#define FEAST_CAMERA_HEIGHT 12u
#define FEAST_DOWNSAMPLE 1u

/* What the network sees, behind the filters. */
#define FEAST_SENSOR_WIDTH 8u
#define FEAST_SENSOR_HEIGHT 6u
#define FEAST_RADIUS 1u
#define FEAST_SIDE 3u
#define FEAST_NEURONS 3u /* features per bank */
#define FEAST_BANKS 1u
#define FEAST_FEATURES 3u /* results are 0 .. FEAST_FEATURES - 1, or a code below */
#define FEAST_LEARNING 0 /* 1: features live in RAM and adapt; 0: constant tables */
#define FEAST_SELECT_THRESHOLD 0 /* 1: while frozen, a feature must be in range of its threshold */

/* Results other than a feature id. */
#define FEAST_MISS (-1)      /* no feature in range of its selection threshold */
#define FEAST_BORDER (-2)    /* border policy `skip`: no full patch around the event */
#define FEAST_OUTSIDE (-3)   /* not on the camera; counted, nothing changed */
#define FEAST_BACKWARDS (-4) /* earlier than an event before it; counted, nothing changed */
#define FEAST_FILTERED (-5)  /* left out by a filter; counted, unseen by the network */

typedef struct {
    uint64_t t_us; /* microseconds, from any origin */
    uint16_t x;    /* 0 .. FEAST_CAMERA_WIDTH - 1, to the right */
    uint16_t y;    /* 0 .. FEAST_CAMERA_HEIGHT - 1, downwards */
    uint8_t polarity; /* 0 darker, anything else brighter */
} feast_event_t;

/* The whole state. Plain memory, valid after feast_init; treat the members as private. */
typedef struct {
    uint64_t t_us; /* time of the last accepted event */
    uint64_t octave; /* octaves of tau * ln 2 since the first event */
    uint64_t seen_us; /* time of the last event seen, filtered or not */
    uint64_t row_tick[6]; /* tick each row of stamps counts from */
    int16_t surface[76]; /* rows of cells with zero margins */
    uint32_t wins[3]; /* events each feature won */
    uint32_t row_octave[6]; /* octave each surface row was brought up to, low bits */
    uint32_t phase; /* position within the octave, 1/256 us */
    uint32_t misses; /* missed events */
    uint32_t border; /* events without a full patch */
    uint32_t outside; /* events off the camera */
    uint32_t backwards; /* events out of order */
    uint32_t filtered; /* events the filters left out */
    uint16_t window_events; /* compared events in the current window */
    uint16_t window_misses; /* missed events among them */
    uint16_t last_window_misses; /* missed events in the last full window */
    uint16_t stamps[48]; /* when each cell last fired, ticks */
    bool started; /* an event was accepted since the reset */
    bool seen; /* an event was seen since the reset */
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
    uint32_t filtered;
} feast_signals_t;

/* Takes the model's weights and thresholds, clears surfaces and counters. */
void feast_init(feast_t *self);

/* Starts a new recording: surfaces, filters and time are cleared; what was learned and counted stays. */
void feast_reset(feast_t *self);

/* Processes one event. Returns the id of its feature, or one of the codes above.
 * Cost is about FEAST_NEURONS * FEAST_SIDE^2 multiply-accumulates, whatever the event. */
int16_t feast_step(feast_t *self, const feast_event_t *event);

void feast_signals(const feast_t *self, feast_signals_t *signals);

/* Times feature `feature` (0 .. FEAST_FEATURES - 1) won since feast_init, modulo 2^32. */
uint32_t feast_wins(const feast_t *self, uint32_t feature);

/* Selection threshold of a feature, Q30: 2^30 is a cosine of 1. */
int32_t feast_threshold(const feast_t *self, uint32_t feature);

/* The state in canonical form, word by word: the first FEAST_STATE_WORDS are what was learned (weights,
 * thresholds, dither), all FEAST_SNAPSHOT_WORDS define every future result. Order: docs/numerics.md
 * section 8. `index` must be below FEAST_SNAPSHOT_WORDS. */
#define FEAST_STATE_WORDS 35u
#define FEAST_SNAPSHOT_WORDS 167u
uint16_t feast_snapshot_word(const feast_t *self, uint32_t index);

#ifdef __cplusplus
}
#endif

#endif
