/* FEAST 8x6, 6 features of 3x3: what its source files share.
 * Generated; change the model or the templates instead. Model e7132194ccc1e3c3, build e7f2a7470f8d6572. */

#ifndef FEAST_INTERNAL_H
#define FEAST_INTERNAL_H

#include "feast.h"

#define FEAST_DIMS 9 /* components of a context */
#define FEAST_SURFACES 2
#define FEAST_MARGIN 0 /* zero cells left and right of each surface row */
#define FEAST_STRIDE 8 /* cells of a surface row with its margins */
#define FEAST_SURFACE_BITS 14
#define FEAST_DEAD_OCTAVES 15u
#define FEAST_MANTISSAS 256
#define FEAST_OCTAVE_Q8 887228u /* tau * ln 2 = 3465.734375 us */
#define FEAST_FRACTION_FACTOR 1239266u
#define FEAST_WINDOW_EVENTS 1024u
#define FEAST_UNIT ((int32_t)1 << 30)
#define FEAST_NONE (-1) /* no feature won */
#define FEAST_ETA_Q30 1073742
#define FEAST_DELTA_I_Q30 1073742
#define FEAST_DELTA_E_Q30 3221225
#define FEAST_LEARNING_SHIFT 16

/* The bounds that keep every accumulator in 32 bits (docs/numerics.md section 9). */
_Static_assert(FEAST_SIDE * ((1 << FEAST_SURFACE_BITS) - 1) < 65536, "context norm must fit 16 bits");
_Static_assert(FEAST_OCTAVE_Q8 >= 1024u && FEAST_OCTAVE_Q8 < 0x80000000u, "octave length out of range");
_Static_assert(FEAST_FEATURES <= 32767, "feature ids must fit int16_t");
_Static_assert((-1 >> 1) == -1, "arithmetic right shift of negative numbers is required");

extern const uint16_t feast_mantissas[FEAST_MANTISSAS];
extern const int16_t feast_model_weights[FEAST_FEATURES * FEAST_DIMS];
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

/* Weights of a feature, FEAST_DIMS of them. */
static inline const int16_t *feast_weights_of(const feast_t *self, uint32_t feature)
{
    return &self->weights[feature * FEAST_DIMS];
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
