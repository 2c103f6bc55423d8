/* FEAST 8x6, 3 features of 3x3: what its source files share.
 * Generated; change the model or the templates instead. Model 2ce85ac37437e324, build da2d766f6b2902d4. */

#ifndef FEAST1_INTERNAL_H
#define FEAST1_INTERNAL_H

#include "feast1.h"
#include "feast1_simd.h"

#include <assert.h>
#include <stdalign.h>
#include <stddef.h>

#define FEAST1_DIMS 9u /* components of a context */
#define FEAST1_CHANNELS 1u /* surfaces that a context spans */
#define FEAST1_ROWS (FEAST1_SIDE * FEAST1_CHANNELS) /* of a patch: those of all channels for a row of pixels, then the next */
#define FEAST1_SURFACES 1u
#define FEAST1_MARGIN 1u /* zero cells left and right of each surface row */
#define FEAST1_STRIDE 12u /* cells of a surface row with its margins, whole words of the kernel */

/* Weights lie in blocks of FEAST1_GROUP features, two weights to a word; the kernel's header has the rest. */
#define FEAST1_GROUP 4u
#define FEAST1_BLOCKS 1u /* of a bank; the last one may have unused places */
#define FEAST1_BLOCK_WORDS 24u
#define FEAST1_WEIGHT_WORDS (FEAST1_BANKS * FEAST1_BLOCKS * FEAST1_BLOCK_WORDS)

#define FEAST1_SURFACE_BITS 14u
#define FEAST1_DEAD_OCTAVES 15u
#define FEAST1_MANTISSAS 256u
#define FEAST1_OCTAVE_Q8 887228u /* tau * ln 2 = 3465.734375 us */
#define FEAST1_FRACTION_FACTOR 1239266u
#define FEAST1_WINDOW_EVENTS 1024u
#define FEAST1_NONE UINT32_MAX /* no feature won */

/* The bounds that keep every sum, product and shift in its type, given that |sum of a_i * b_i| is at most
 * sqrt(sum of a_i^2 * sum of b_i^2): docs/numerics.md section 9. */
#define FEAST1_SURFACE_MAX (((uint64_t)1 << FEAST1_SURFACE_BITS) - 1u)
#define FEAST1_CONTEXT_ENERGY (FEAST1_DIMS * FEAST1_SURFACE_MAX * FEAST1_SURFACE_MAX) /* most that squares of a context sum up to */
#define FEAST1_WEIGHT_ENERGY 1073756494u /* most that squares of a feature's weights sum up to */
static_assert(FEAST1_SURFACE_BITS >= 8u && FEAST1_SURFACE_BITS <= 14u, "shifts of a norm must be at most 8");
static_assert(FEAST1_CONTEXT_ENERGY <= UINT32_MAX, "squares of a context must fit 32 bits");
static_assert(FEAST1_CONTEXT_ENERGY * FEAST1_WEIGHT_ENERGY < (uint64_t)1 << 62, "dot products must fit 32 bits");
static_assert(FEAST1_OCTAVE_Q8 >= 1024u && FEAST1_OCTAVE_Q8 < 0x80000000u, "octave length out of range");
static_assert((FEAST1_OCTAVE_Q8 - 1u) * (uint64_t)FEAST1_FRACTION_FACTOR < (uint64_t)FEAST1_MANTISSAS << 32, "fractions index the table");
static_assert(FEAST1_FEATURES <= 32767u, "feature ids must fit int16_t");
static_assert((size_t)offsetof(feast1_t, surface) % 8u == 0u, "surface rows must lie at multiples of 8");
/* cppcheck-suppress misra-c2012-10.1 ; asks the compiler about this very shift */
static_assert((-1 >> 1) == -1, "arithmetic right shift of negative numbers is required");

extern const uint16_t feast1_mantissas[FEAST1_MANTISSAS];
alignas(8) extern const feast1_pair_t feast1_model_weights[FEAST1_WEIGHT_WORDS];
extern const int32_t feast1_model_thresholds[FEAST1_FEATURES];

/* floor(value / 2^bits). Negative numbers are shifted here and in mulh of feast1_learn.c, nowhere else. */
static inline int32_t feast1_asr(int32_t value, uint32_t bits)
{
    /* cppcheck-suppress misra-c2012-10.1 ; the arithmetic shift that is asserted above */
    return value >> bits;
}

/* A surface value some octaves later, fewer than 32: its magnitude is truncated, so that -1 dies like 1. */
static inline int32_t feast1_halved(int32_t value, uint32_t octaves)
{
    return value < 0 ? -feast1_asr(-value, octaves) : feast1_asr(value, octaves);
}

/* Weights of all features. */
static inline const feast1_pair_t *feast1_weights_of(const feast1_t *self)
{
    (void)self;
    return feast1_model_weights;
}

/* The block of a feature; its place within is the feature's index in the bank modulo FEAST1_GROUP. */
static inline uint32_t feast1_block_of(uint32_t feature)
{
    return (feature / FEAST1_NEURONS * FEAST1_BLOCKS + feature % FEAST1_NEURONS / FEAST1_GROUP) * FEAST1_BLOCK_WORDS;
}

/* Thresholds of all features. */
static inline const int32_t *feast1_thresholds_of(const feast1_t *self)
{
    (void)self;
    return feast1_model_thresholds;
}

#endif
