/* FEAST 8x6, 3 features of 3x3: what its source files share.
 * Generated; change the model or the templates instead. Model 913dc05fb71307f2, build 58d3696813984fa2. */

#ifndef FEAST2_INTERNAL_H
#define FEAST2_INTERNAL_H

#include "feast2.h"
#include "feast2_simd.h"

#include <stddef.h>

#define FEAST2_DIMS 27 /* components of a context */
#define FEAST2_CHANNELS 3 /* surfaces that a context spans */
#define FEAST2_ROWS (FEAST2_SIDE * FEAST2_CHANNELS) /* of a patch: those of all channels for a row of pixels, then the next */
#define FEAST2_SURFACES 3
#define FEAST2_MARGIN 1 /* zero cells left and right of each surface row */
#define FEAST2_STRIDE 12 /* cells of a surface row with its margins, whole words of the kernel */

/* Weights lie in blocks of FEAST2_GROUP features, two weights to a word; the kernel's header has the rest. */
#define FEAST2_WEIGHT_FRACTION 15u /* bits behind the point */
#define FEAST2_GROUP 4
#define FEAST2_BLOCKS 1 /* of a bank; the last one may have unused places */
#define FEAST2_BLOCK_WORDS 72
#define FEAST2_WEIGHT_WORDS (FEAST2_BANKS * FEAST2_BLOCKS * FEAST2_BLOCK_WORDS)

#define FEAST2_SURFACE_BITS 13
#define FEAST2_DEAD_OCTAVES 15u
#define FEAST2_MANTISSAS 256
#define FEAST2_OCTAVE_Q8 887228u /* tau * ln 2 = 3465.734375 us */
#define FEAST2_FRACTION_FACTOR 1239266u
#define FEAST2_WINDOW_EVENTS 1024u
#define FEAST2_UNIT ((int32_t)1 << 30)
#define FEAST2_NONE (-1) /* no feature won */
#define FEAST2_ETA_Q32 4294967
#define FEAST2_TWICE_ETA_Q32 8581345 /* 2 * eta * (1 - eta) */
#define FEAST2_DELTA_I_Q30 1073742
#define FEAST2_DELTA_E_Q30 3221225
#define FEAST2_LEARNING_SHIFT 16

/* The bounds that keep every accumulator in 32 bits (docs/numerics.md section 9). */
_Static_assert((uint64_t)FEAST2_DIMS * ((1u << FEAST2_SURFACE_BITS) - 1u) * ((1u << FEAST2_SURFACE_BITS) - 1u) <= 4227858432u,
               "context norm must fit 16 bits");
_Static_assert(FEAST2_OCTAVE_Q8 >= 1024u && FEAST2_OCTAVE_Q8 < 0x80000000u, "octave length out of range");
_Static_assert(FEAST2_FEATURES <= 32767, "feature ids must fit int16_t");
_Static_assert(offsetof(feast2_t, surface) % 8u == 0u, "surface rows must lie at multiples of 8");
_Static_assert(offsetof(feast2_t, weights) % 8u == 0u, "weights must lie at a multiple of 8");
_Static_assert((-1 >> 1) == -1, "arithmetic right shift of negative numbers is required");

extern const uint16_t feast2_mantissas[FEAST2_MANTISSAS];
extern _Alignas(8) const feast2_pair_t feast2_model_weights[FEAST2_WEIGHT_WORDS];
extern const int32_t feast2_model_thresholds[FEAST2_FEATURES];

/* |c| = r / 2^k with 2^15 <= r < 2^16 (docs/numerics.md section 5). */
typedef struct {
    uint32_t r;
    uint32_t k;
} feast2_norm_t;

/* How the winner's weights move, Q(FEAST2_LEARNING_SHIFT): docs/numerics.md section 6. */
typedef struct {
    int32_t decay;
    int32_t gain;
    int32_t dither;
} feast2_factors_t;

/* Weights of all features. */
static inline const feast2_pair_t *feast2_weights_of(const feast2_t *self)
{
    return self->weights;
}

/* The block of a feature; its place within is the feature's index in the bank modulo FEAST2_GROUP. */
static inline uint32_t feast2_block_of(uint32_t feature)
{
    return (feature / FEAST2_NEURONS * FEAST2_BLOCKS + feature % FEAST2_NEURONS / FEAST2_GROUP) * FEAST2_BLOCK_WORDS;
}

/* Thresholds of all features. */
static inline const int32_t *feast2_thresholds_of(const feast2_t *self)
{
    return self->thresholds;
}

#endif
