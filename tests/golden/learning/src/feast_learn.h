/* FEAST 8x6, 6 features of 3x3: learning, for feast.c.
 * Generated; change the model or the templates instead. Model e7132194ccc1e3c3, build e5cfc6fc2cbc2d48. */

#ifndef FEAST_LEARN_H
#define FEAST_LEARN_H

#include "feast_kernel.h"

/* Gives a new network the model's weights and thresholds. */
void feast_learn_init(feast_t *self);

/* Moves a feature that won with `dot` towards the context, and raises its threshold. */
void feast_learn_hit(feast_t *self, uint32_t feature, const feast_patch_t *patch, int32_t dot, feast_norm_t norm);

/* Lowers the thresholds of a bank after a missed event. */
void feast_learn_miss(feast_t *self, uint32_t bank);

#endif
