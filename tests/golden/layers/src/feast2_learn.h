/* FEAST 8x6, 3 features of 3x3: learning, for feast2.c.
 * Generated; change the model or the templates instead. Model 913dc05fb71307f2, build ff1c8fed089b5a78. */

#ifndef FEAST2_LEARN_H
#define FEAST2_LEARN_H

#include "feast2_kernel.h"

/* Gives a new network the model's weights and thresholds. */
void feast2_learn_init(feast2_t *self);

/* Moves a feature that won with `dot` towards the context, and raises its threshold. */
void feast2_learn_hit(feast2_t *self, uint32_t feature, const feast2_patch_t *patch, int32_t dot, feast2_norm_t norm);

/* Lowers the thresholds of a bank after a missed event. */
void feast2_learn_miss(feast2_t *self, uint32_t bank);

#endif
