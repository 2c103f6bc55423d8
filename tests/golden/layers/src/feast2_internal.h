/* FEAST 8x6, 3 features of 3x3: what its source files share.
 * Generated; change the model or the templates instead. Model 913dc05fb71307f2, build ff1c8fed089b5a78. */

#ifndef FEAST2_INTERNAL_H
#define FEAST2_INTERNAL_H

#include "feast2.h"
#include "feast2_simd.h"

#include <assert.h>
#include <stdalign.h>
#include <stddef.h>

#define FEAST2_DIMS 27u /* components of a context */
#define FEAST2_CHANNELS 3u /* surfaces that a context spans */
#define FEAST2_ROWS (FEAST2_SIDE * FEAST2_CHANNELS) /* of a patch: those of all channels for a row of pixels, then the next */
#define FEAST2_SURFACES 3u
#define FEAST2_MARGIN 1u /* zero cells left and right of each surface row */
#define FEAST2_STRIDE 12u /* cells of a surface row with its margins, whole words of the kernel */

/* Weights lie in blocks of FEAST2_GROUP features, two weights to a word; the kernel's header has the rest. */
#define FEAST2_WEIGHT_FRACTION 15u /* bits behind the point */
#define FEAST2_GROUP 4u
#define FEAST2_BLOCKS 1u /* of a bank; the last one may have unused places */
#define FEAST2_BLOCK_WORDS 72u
#define FEAST2_WEIGHT_WORDS (FEAST2_BANKS * FEAST2_BLOCKS * FEAST2_BLOCK_WORDS)

#define FEAST2_SURFACE_BITS 13u
#define FEAST2_DEAD_OCTAVES 15u
#define FEAST2_MANTISSAS 256u
#define FEAST2_OCTAVE_Q8 887228u /* tau * ln 2 = 3465.734375 us */
#define FEAST2_FRACTION_FACTOR 1239266u
#define FEAST2_WINDOW_EVENTS 1024u
#define FEAST2_NONE UINT32_MAX /* no feature won */
#define FEAST2_UNIT 0x40000000 /* 1 in Q30 */
#define FEAST2_ETA_Q32 4294967
#define FEAST2_TWICE_ETA_Q32 8581345 /* 2 * eta * (1 - eta) */
#define FEAST2_DELTA_I_Q30 1073742
#define FEAST2_DELTA_E_Q30 3221225
#define FEAST2_LEARNING_SHIFT 16u

/* The bounds that keep every sum, product and shift in its type, given that |sum of a_i * b_i| is at most
 * sqrt(sum of a_i^2 * sum of b_i^2): docs/numerics.md section 9. */
#define FEAST2_SURFACE_MAX (((uint64_t)1 << FEAST2_SURFACE_BITS) - 1u)
#define FEAST2_CONTEXT_ENERGY (FEAST2_DIMS * FEAST2_SURFACE_MAX * FEAST2_SURFACE_MAX) /* most that squares of a context sum up to */
#define FEAST2_WEIGHT_ENERGY 1082130432u /* most that squares of a feature's weights sum up to */
static_assert(FEAST2_SURFACE_BITS >= 8u && FEAST2_SURFACE_BITS <= 14u, "shifts of a norm must be at most 8");
static_assert(FEAST2_CONTEXT_ENERGY <= UINT32_MAX, "squares of a context must fit 32 bits");
static_assert(FEAST2_CONTEXT_ENERGY * FEAST2_WEIGHT_ENERGY < (uint64_t)1 << 62, "dot products must fit 32 bits");
static_assert(FEAST2_OCTAVE_Q8 >= 1024u && FEAST2_OCTAVE_Q8 < 0x80000000u, "octave length out of range");
static_assert((FEAST2_OCTAVE_Q8 - 1u) * (uint64_t)FEAST2_FRACTION_FACTOR < (uint64_t)FEAST2_MANTISSAS << 32, "fractions index the table");
static_assert(FEAST2_FEATURES <= 32767u, "feature ids must fit int16_t");
static_assert(FEAST2_WEIGHT_FRACTION <= 15u, "weights must fit 16 bits");
static_assert(FEAST2_WEIGHT_ENERGY < (uint32_t)2 << (2u * FEAST2_WEIGHT_FRACTION), "norm of a feature must be about 1");
static_assert(FEAST2_ETA_Q32 > 0 && FEAST2_ETA_Q32 <= 429496730, "eta must be at most 0.1");
static_assert(FEAST2_TWICE_ETA_Q32 > 0 && FEAST2_TWICE_ETA_Q32 <= 2 * FEAST2_ETA_Q32, "2 eta must be at most 0.2");
static_assert(FEAST2_DELTA_I_Q30 >= 0 && FEAST2_DELTA_I_Q30 <= FEAST2_UNIT, "delta_i must be at most 1");
static_assert(FEAST2_DELTA_E_Q30 >= 0 && FEAST2_DELTA_E_Q30 <= FEAST2_UNIT, "delta_e must be at most 1");
static_assert(FEAST2_LEARNING_SHIFT >= 1u && FEAST2_LEARNING_SHIFT <= 16u, "dithered shifts must be 7 to 31");
static_assert((uint64_t)FEAST2_ETA_Q32 * 5u < (uint64_t)1 << (48u - FEAST2_LEARNING_SHIFT), "decay must fit 16 bits");
static_assert((size_t)offsetof(feast2_t, surface) % 8u == 0u, "surface rows must lie at multiples of 8");
static_assert((size_t)offsetof(feast2_t, weights) % 8u == 0u, "weights must lie at a multiple of 8");
/* cppcheck-suppress misra-c2012-10.1 ; asks the compiler about this very shift */
static_assert((-1 >> 1) == -1, "arithmetic right shift of negative numbers is required");

extern const uint16_t feast2_mantissas[FEAST2_MANTISSAS];
alignas(8) extern const feast2_pair_t feast2_model_weights[FEAST2_WEIGHT_WORDS];
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

/* floor(value / 2^bits). Negative numbers are shifted here and in mulh of feast2_learn.c, nowhere else. */
static inline int32_t feast2_asr(int32_t value, uint32_t bits)
{
    /* cppcheck-suppress misra-c2012-10.1 ; the arithmetic shift that is asserted above */
    return value >> bits;
}

/* A surface value some octaves later, fewer than 32: its magnitude is truncated, so that -1 dies like 1. */
static inline int32_t feast2_halved(int32_t value, uint32_t octaves)
{
    return value < 0 ? -feast2_asr(-value, octaves) : feast2_asr(value, octaves);
}

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
