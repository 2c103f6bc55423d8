/* FEAST 8x6, 6 features of 3x3: learning.
 * Generated; change the model or the templates instead. Model e7132194ccc1e3c3, build e5cfc6fc2cbc2d48. */

#include "feast_learn.h"

#include <string.h>

/* Squared norm of a feature's weights, Q30. */
static uint64_t squared_norm(const feast_t *self, uint32_t feature)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < FEAST_DIMS; i++) {
        const int64_t weight = feast_weight(self->weights, feature, i);
        const int64_t square = weight * weight;
        sum += (uint64_t)square;
    }
    return sum;
}

/* The next number of the dither generator. */
static uint32_t draw(uint32_t x)
{
    return 1664525u * x + 1013904223u;
}

/* Drops bits from a value, rounding up as often as what they hold asks: `x` is a draw. */
static int32_t drop_bits(int32_t value, uint32_t x, uint32_t bits)
{
    const uint32_t dither = x >> (32u - bits);
    return feast_asr(value + (int32_t)dither, bits);
}

/* The upper half of a product. */
static int32_t mulh(int32_t a, int32_t b)
{
    const int64_t product = (int64_t)a * b;
    /* cppcheck-suppress misra-c2012-10.1 ; the arithmetic shift that feast_internal.h asserts */
    return (int32_t)(product >> 32);
}

static feast_factors_t update_factors(feast_t *self, int32_t dot, feast_norm_t norm, uint32_t weight_norm2)
{
    const int32_t one_q28 = 0x10000000;
    const uint32_t patch_scale = (uint32_t)1 << norm.k;
    const int32_t norm2_q28 = (int32_t)(weight_norm2 >> 2);
    const int32_t inverse = (int32_t)((UINT32_MAX / norm.r) << 14);
    const int32_t cosine_q28 = mulh(feast_asr(dot, 1u) * (int32_t)patch_scale, inverse);
    const int32_t lost_q30 = 4 * (one_q28 - norm2_q28 + mulh(FEAST_TWICE_ETA_Q32, norm2_q28 - cosine_q28));
    const int32_t third = 3 * (one_q28 / 2) + mulh(5 * one_q28, lost_q30);
    const int32_t second = 2 * one_q28 + 4 * mulh(third, lost_q30);
    const int32_t growth_q28 = mulh(second, lost_q30);
    const int32_t extra_q28 = mulh(FEAST_ETA_Q32, growth_q28);

    const uint32_t for_decay = draw(self->dither);
    const uint32_t for_gain = draw(for_decay);
    self->dither = draw(for_gain);
    const int32_t decay_q28 = feast_asr(FEAST_ETA_Q32, 4u) - growth_q28 + extra_q28;
    const int32_t decay = drop_bits(decay_q28, for_decay, 28u - FEAST_LEARNING_SHIFT);
    const int32_t wide_gain = mulh(FEAST_ETA_Q32 + 16 * extra_q28, inverse);
    const int32_t gain = drop_bits(wide_gain, for_gain, 31u - FEAST_LEARNING_SHIFT - norm.k);
    const uint32_t dither = self->dither >> (32u - FEAST_LEARNING_SHIFT);
    const feast_factors_t factors = { decay, gain > INT16_MAX ? INT16_MAX : gain, (int32_t)dither };
    return factors;
}

void feast_learn_hit(feast_t *self, uint32_t feature, const feast_patch_t *patch, int32_t dot, feast_norm_t norm)
{
    const feast_factors_t factors = update_factors(self, dot, norm, self->norm2[feature]);
    self->norm2[feature] = feast_move(self->weights, feature, patch, factors);

    int32_t *threshold = &self->thresholds[feature];
    *threshold = *threshold > FEAST_UNIT - FEAST_DELTA_I_Q30 ? FEAST_UNIT : *threshold + FEAST_DELTA_I_Q30;
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
    (void)memcpy(self->weights, feast_model_weights, sizeof self->weights);
    (void)memcpy(self->thresholds, feast_model_thresholds, sizeof self->thresholds);
    for (uint32_t n = 0; n < FEAST_FEATURES; n++) {
        self->norm2[n] = (uint32_t)squared_norm(self, n);
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
        const uint32_t i = index % FEAST_DIMS;
        feast_pair_t *pair = &self->weights[feast_word_of(index / FEAST_DIMS, i)];
        const uint32_t lane = 16u * feast_lane_of(i);
        *pair = (*pair & ~((uint32_t)0xFFFFu << lane)) | ((uint32_t)word << lane);
    } else if (index < dither) {
        int32_t *threshold = &self->thresholds[(index - thresholds) / 2u];
        const uint32_t bits = ((uint32_t)*threshold & keep) | ((uint32_t)word << shift);
        *threshold = (int32_t)(bits < 0x80000000u ? (int64_t)bits : (int64_t)bits - ((int64_t)UINT32_MAX + 1));
    } else if (index < FEAST_STATE_WORDS) {
        self->dither = (self->dither & keep) | ((uint32_t)word << shift);
    } else {
        /* not part of the learned state */
    }
}

bool feast_import_finish(feast_t *self)
{
    for (uint32_t n = 0; n < FEAST_FEATURES; n++) {
        const uint64_t norm2 = squared_norm(self, n);
        const int32_t threshold = self->thresholds[n];
        if (threshold < -FEAST_UNIT || threshold > FEAST_UNIT || norm2 < (uint64_t)FEAST_UNIT - 8388608u
            || norm2 > (uint64_t)FEAST_UNIT + 8388608u) {
            feast_learn_init(self);
            return false;
        }
        self->norm2[n] = (uint32_t)norm2;
    }
    return true;
}
