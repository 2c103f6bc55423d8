/* FEAST 8x6, 6 features of 3x3: what its source files share.
 * Generated; change the model or the templates instead. Model e7132194ccc1e3c3, build c355ad5050f0aa3e. */

#ifndef FEAST_INTERNAL_H
#define FEAST_INTERNAL_H

#include "feast.h"
#include "feast_simd.h"

#include <stddef.h>

#define FEAST_DIMS 9 /* components of a context */
#define FEAST_SURFACES 2
#define FEAST_MARGIN 0 /* zero cells left and right of each surface row */
#define FEAST_STRIDE 8 /* cells of a surface row with its margins, a multiple of 4 */

/* Layout of the weights: blocks of FEAST_GROUP features; in a block row by row, in a row pair by pair of
 * neighbouring weights, and the features of the block side by side. The last pair of a row has one weight. */
#define FEAST_GROUP 4
#define FEAST_BLOCKS 1 /* of a bank; the last one may have unused places */
#define FEAST_PAIRS 2 /* of a row */
#define FEAST_BLOCK_ROW (FEAST_PAIRS * FEAST_GROUP)
#define FEAST_BLOCK (FEAST_SIDE * FEAST_BLOCK_ROW)
#define FEAST_WEIGHT_PAIRS (FEAST_BANKS * FEAST_BLOCKS * FEAST_BLOCK)

#define FEAST_SURFACE_BITS 14
#define FEAST_DEAD_OCTAVES 15u
#define FEAST_MANTISSAS 256
#define FEAST_OCTAVE_Q8 887228u /* tau * ln 2 = 3465.734375 us */
#define FEAST_FRACTION_FACTOR 1239266u
#define FEAST_WINDOW_EVENTS 1024u
#define FEAST_UNIT ((int32_t)1 << 30)
#define FEAST_NONE (-1) /* no feature won */
#define FEAST_ETA_Q32 4294967
#define FEAST_TWICE_ETA_Q32 8581345 /* 2 * eta * (1 - eta) */
#define FEAST_DELTA_I_Q30 1073742
#define FEAST_DELTA_E_Q30 3221225
#define FEAST_LEARNING_SHIFT 16

/* The bounds that keep every accumulator in 32 bits (docs/numerics.md section 9). */
_Static_assert(FEAST_SIDE * ((1 << FEAST_SURFACE_BITS) - 1) < 65536, "context norm must fit 16 bits");
_Static_assert(FEAST_OCTAVE_Q8 >= 1024u && FEAST_OCTAVE_Q8 < 0x80000000u, "octave length out of range");
_Static_assert(FEAST_FEATURES <= 32767, "feature ids must fit int16_t");
_Static_assert(offsetof(feast_t, surface) % 8u == 0u, "surface rows must lie at multiples of 8");
_Static_assert(offsetof(feast_t, weights) % 8u == 0u, "weights must lie at a multiple of 8");
_Static_assert((-1 >> 1) == -1, "arithmetic right shift of negative numbers is required");

extern const uint16_t feast_mantissas[FEAST_MANTISSAS];
extern _Alignas(8) const feast_pair_t feast_model_weights[FEAST_WEIGHT_PAIRS];
extern const int32_t feast_model_thresholds[FEAST_FEATURES];

/* The patch around an event: `rows` rows of FEAST_SIDE cells, FEAST_STRIDE apart, read where they lie.
 * The first one is row `top` of the full patch; rows above and below it, off the sensor, are zero. */
typedef struct {
    const int16_t *cells;
    uint32_t top;
    uint32_t rows;
} feast_patch_t;

/* |c| = r / 2^k with 2^15 <= r < 2^16 (docs/numerics.md section 5). */
typedef struct {
    uint32_t r;
    uint32_t k;
} feast_norm_t;

/* Weights of all features. */
static inline const feast_pair_t *feast_weights_of(const feast_t *self)
{
    return self->weights;
}

/* Where the first pair of a feature lies; its other pairs follow FEAST_GROUP apart. */
static inline uint32_t feast_first_pair(uint32_t feature)
{
    const uint32_t bank = feature / FEAST_NEURONS;
    const uint32_t place = feature % FEAST_NEURONS;
    return (bank * FEAST_BLOCKS + place / FEAST_GROUP) * FEAST_BLOCK + place % FEAST_GROUP;
}

/* Where component `i` of a feature lies; odd columns are in lane 1. */
static inline uint32_t feast_pair_of(uint32_t feature, uint32_t i)
{
    return feast_first_pair(feature) + (i / FEAST_SIDE * FEAST_PAIRS + i % FEAST_SIDE / 2u) * FEAST_GROUP;
}

/* Thresholds of all features. */
static inline const int32_t *feast_thresholds_of(const feast_t *self)
{
    return self->thresholds;
}

/* Gives a new network the model's weights and thresholds. */
void feast_learn_init(feast_t *self);

/* Moves a feature that won with `dot` towards the context, and raises its threshold. */
void feast_learn_hit(feast_t *self, uint32_t feature, const feast_patch_t *patch, int32_t dot, feast_norm_t norm);

/* Lowers the thresholds of a bank after a missed event. */
void feast_learn_miss(feast_t *self, uint32_t bank);

#endif
