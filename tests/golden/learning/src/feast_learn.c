/* FEAST 8x6, 6 features of 3x3: learning.
 * Generated; change the model or the templates instead. Model e7132194ccc1e3c3, build e7f2a7470f8d6572. */

#include "feast_internal.h"

/* Squared norm of a feature's weights, Q30. */
static uint32_t squared_norm(const int16_t *weights)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < FEAST_DIMS; i++) {
        sum += (uint32_t)((int32_t)weights[i] * weights[i]);
    }
    return sum;
}

/* Factors of the weight update, Q(FEAST_LEARNING_SHIFT): docs/numerics.md section 6. */
typedef struct {
    int32_t decay;
    int32_t gain;
} factors_t;

/* The next number of the dither generator. */
static uint32_t draw(uint32_t x)
{
    return 1664525u * x + 1013904223u;
}

static factors_t update_factors(feast_t *self, int64_t dot, feast_norm_t norm, int64_t weight_norm2)
{
    const int64_t one = FEAST_UNIT;
    const int64_t eta = FEAST_ETA_Q30;
    const int64_t keep = one - eta;
    const int64_t inverse = (int64_t)(UINT32_MAX / norm.r) * ((int64_t)1 << norm.k);
    const int64_t cosine = (dot * inverse) >> 17;
    const int64_t moved = ((keep * ((keep * weight_norm2) >> 30)) >> 30) + ((keep * ((eta * cosine) >> 30)) >> 29)
                          + ((eta * eta) >> 30);
    int64_t scale = one + ((one - moved) >> 1); /* towards 1/sqrt(moved): two steps of Newton's method */
    scale = (scale * (3 * one - ((moved * ((scale * scale) >> 30)) >> 30))) >> 31;
    scale = (scale * (3 * one - ((moved * ((scale * scale) >> 30)) >> 30))) >> 31;

    const uint32_t x = draw(self->dither);
    self->dither = draw(x);
    const int64_t decay = one - ((keep * scale) >> 30) + (x >> (2 + FEAST_LEARNING_SHIFT));
    const int64_t gain = ((eta * scale) >> 30) * inverse + (((int64_t)self->dither << 15) >> FEAST_LEARNING_SHIFT);
    const int64_t gain_qs = gain >> (47 - FEAST_LEARNING_SHIFT);
    return (factors_t){
        .decay = (int32_t)(decay >> (30 - FEAST_LEARNING_SHIFT)),
        .gain = gain_qs > INT16_MAX ? INT16_MAX : (int32_t)gain_qs,
    };
}

/* A weight moved towards a cell; `dither` has 16 bits. */
static int16_t moved_weight(int32_t weight, int32_t cell, factors_t factors, uint32_t dither)
{
    const int32_t change = (factors.gain * cell - factors.decay * weight
                            + (int32_t)(dither >> (16 - FEAST_LEARNING_SHIFT)))
                           >> FEAST_LEARNING_SHIFT;
    const int32_t moved = weight + change;
    return (int16_t)(moved > INT16_MAX ? INT16_MAX : moved < INT16_MIN ? INT16_MIN : moved);
}

void feast_learn_hit(feast_t *self, uint32_t feature, const feast_patch_t *patch, int32_t dot, feast_norm_t norm)
{
    static const int16_t off_sensor[FEAST_SIDE] = { 0 };
    const factors_t factors = update_factors(self, dot, norm, (int64_t)self->norm2[feature]);
    int16_t *weights = &self->weights[feature * FEAST_DIMS];
    uint32_t x = self->dither;
    for (uint32_t row = 0; row < FEAST_SIDE; row++) {
        const bool on_sensor = row >= patch->top && row < patch->top + patch->rows;
        const int16_t *cells = on_sensor ? &patch->cells[(row - patch->top) * FEAST_STRIDE] : off_sensor;
        for (uint32_t i = 0; i < FEAST_SIDE; i += 2u) {
            x = draw(x);
            weights[i] = moved_weight(weights[i], cells[i], factors, x & 0xFFFFu);
            if (i + 1u < FEAST_SIDE) {
                weights[i + 1u] = moved_weight(weights[i + 1u], cells[i + 1u], factors, x >> 16);
            }
        }
        weights += FEAST_SIDE;
    }
    self->dither = x;
    self->norm2[feature] = squared_norm(&self->weights[feature * FEAST_DIMS]);

    const int32_t raised = self->thresholds[feature] + FEAST_DELTA_I_Q30;
    self->thresholds[feature] = raised > FEAST_UNIT ? FEAST_UNIT : raised;
}

void feast_learn_miss(feast_t *self, uint32_t bank)
{
    for (uint32_t n = bank * FEAST_NEURONS; n < (bank + 1u) * FEAST_NEURONS; n++) {
        const int32_t lowered = self->thresholds[n] - FEAST_DELTA_E_Q30;
        self->thresholds[n] = lowered < -FEAST_UNIT ? -FEAST_UNIT : lowered;
    }
}

void feast_learn_init(feast_t *self)
{
    for (uint32_t i = 0; i < FEAST_FEATURES * FEAST_DIMS; i++) {
        self->weights[i] = feast_model_weights[i];
    }
    for (uint32_t n = 0; n < FEAST_FEATURES; n++) {
        self->thresholds[n] = feast_model_thresholds[n];
        self->norm2[n] = squared_norm(feast_weights_of(self, n));
    }
    self->dither = 1u;
}

void feast_set_learning(feast_t *self, bool learning)
{
    self->learning = learning;
}

void feast_import_word(feast_t *self, uint32_t index, uint16_t word)
{
    const uint32_t thresholds = FEAST_FEATURES * FEAST_DIMS;
    const uint32_t dither = thresholds + 2u * FEAST_FEATURES;
    const uint32_t shift = 16u * ((index - thresholds) & 1u);
    const uint32_t keep = ~((uint32_t)0xFFFFu << shift);
    if (index < thresholds) {
        self->weights[index] = (int16_t)(word < 0x8000u ? (int32_t)word : (int32_t)word - 0x10000);
    } else if (index < dither) {
        int32_t *threshold = &self->thresholds[(index - thresholds) / 2u];
        const uint32_t bits = ((uint32_t)*threshold & keep) | ((uint32_t)word << shift);
        *threshold = (int32_t)(bits < 0x80000000u ? (int64_t)bits : (int64_t)bits - 0x100000000);
    } else if (index < FEAST_STATE_WORDS) {
        self->dither = (self->dither & keep) | ((uint32_t)word << shift);
    } else {
        /* not part of the learned state */
    }
}

static bool feature_is_valid(const feast_t *self, uint32_t feature)
{
    const int16_t *weights = feast_weights_of(self, feature);
    uint64_t norm2 = 0;
    for (uint32_t i = 0; i < FEAST_DIMS; i++) {
        norm2 += (uint64_t)((int64_t)weights[i] * weights[i]);
    }
    const int32_t threshold = self->thresholds[feature];
    return threshold >= -FEAST_UNIT && threshold <= FEAST_UNIT && norm2 >= (uint64_t)FEAST_UNIT - 8388608u
           && norm2 <= (uint64_t)FEAST_UNIT + 8388608u;
}

bool feast_import_finish(feast_t *self)
{
    for (uint32_t n = 0; n < FEAST_FEATURES; n++) {
        if (!feature_is_valid(self, n)) {
            feast_learn_init(self);
            return false;
        }
        self->norm2[n] = squared_norm(feast_weights_of(self, n));
    }
    return true;
}
