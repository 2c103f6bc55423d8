/* FEAST 8x6, 3 features of 3x3: public interface.
 * Generated; change the model or the templates instead. Model 913dc05fb71307f2, build ff1c8fed089b5a78. */

#ifndef FEAST_H
#define FEAST_H

#include <stdbool.h>
#include <stdint.h>

#include "feast1.h"
#include "feast2.h"

#ifdef __cplusplus
extern "C" {
#endif

/* FEAST, feature extraction with adaptive selection thresholds (Afshar et al., arXiv 1907.07853), for one
 * event camera: each event is compared with 3 learned features over the 3x3 patch of the time
 * surface around it.
 * That surface is of feature events: a first layer, frozen, answers each event of the camera with one of its
 * 3 features, and the second layer keeps a surface for each of them. What follows speaks of the second one.
 *
 *   static feast_t feast;                       about 1128 bytes, yours, anywhere in RAM
 *   feast_init(&feast);
 *   for each event: int16_t id = feast_step(&feast, &event);
 *
 * About 7313 bytes of flash and 426 of stack on a Cortex-M at -O2 (GCC 12).
 * Integers only, no heap, no globals but constant tables. Functions are reentrant for different feast_t;
 * one feast_t must not be used from two contexts at once. Arithmetic: docs/numerics.md of the generator. */

#define FEAST_API_MAJOR 1
#define FEAST_API_MINOR 0
#define FEAST_API_PATCH 0

/* The model this was generated from, and what a host must agree with to talk to it: geometry, options,
 * number formats and link protocol. */
#define FEAST_MODEL_ID "913dc05fb71307f28483c28b532533b33953291ffd6b4b69b92dec18875428b0"
#define FEAST_BUILD_ID "ff1c8fed089b5a78"
#define FEAST_BUILD_ID_BYTES { 0xff, 0x1c, 0x8f, 0xed, 0x08, 0x9b, 0x5a, 0x78 }

#define FEAST_SENSOR_WIDTH 8u
#define FEAST_SENSOR_HEIGHT 6u
#define FEAST_RADIUS 1u
#define FEAST_SIDE 3u
#define FEAST_NEURONS 3u /* features per bank */
#define FEAST_BANKS 1u
#define FEAST_FEATURES 3u /* results are 0 .. FEAST_FEATURES - 1, or a code below */
#define FEAST_LEARNING 1 /* 1: features live in RAM and adapt; 0: constant tables */
#define FEAST_SELECT_THRESHOLD 0 /* 1: while frozen, a feature must be in range of its threshold */

/* Results other than a feature id. */
#define FEAST_MISS (-1)      /* no feature in range of its selection threshold */
#define FEAST_BORDER (-2)    /* border policy `skip`: no full patch around the event */
#define FEAST_OUTSIDE (-3)   /* not on the sensor; counted, nothing changed */
#define FEAST_BACKWARDS (-4) /* earlier than the last accepted event; counted, nothing changed */

typedef feast1_event_t feast_event_t;

/* The whole state. Plain memory, valid after feast_init; treat the members as private. */
typedef struct {
    feast1_t lower; /* lower layer */
    feast2_t upper; /* upper layer */
    uint32_t foreign; /* 1 + index of an imported word that the lower layer does not have */
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

/* Takes the model's weights and thresholds, clears surfaces and counters, switches learning on. */
void feast_init(feast_t *self);

/* Starts a new recording: surfaces and time are cleared; what was learned and counted stays. */
void feast_reset(feast_t *self);

/* Processes one event. Returns the id of its feature, or one of the codes above.
 * Cost is about FEAST_NEURONS * 3 * FEAST_SIDE^2 multiply-accumulates, less where channels are quiet. */
int16_t feast_step(feast_t *self, const feast_event_t *event);

void feast_signals(const feast_t *self, feast_signals_t *signals);

/* Times feature `feature` (0 .. FEAST_FEATURES - 1) won since feast_init, modulo 2^32. */
uint32_t feast_wins(const feast_t *self, uint32_t feature);

/* Selection threshold of a feature, Q30: 2^30 is a cosine of 1. */
int32_t feast_threshold(const feast_t *self, uint32_t feature);

/* The state in canonical form, word by word: the first FEAST_STATE_WORDS are what was learned (weights,
 * thresholds, dither), all FEAST_SNAPSHOT_WORDS define every future result. Order: docs/numerics.md
 * section 12. `index` must be below FEAST_SNAPSHOT_WORDS. */
#define FEAST_STATE_WORDS 124u
#define FEAST_SNAPSHOT_WORDS 374u
uint16_t feast_snapshot_word(const feast_t *self, uint32_t index);

/* Learning on or off. While off, features and thresholds stay as they are. */
void feast_set_learning(feast_t *self, bool learning);

/* Replaces the learned state: give all FEAST_STATE_WORDS words, in any order, then call
 * feast_import_finish before the next event. It returns false, and puts the model's own state back, if a
 * value is out of range. */
void feast_import_word(feast_t *self, uint32_t index, uint16_t word);
bool feast_import_finish(feast_t *self);

#ifdef __cplusplus
}
#endif

#endif
