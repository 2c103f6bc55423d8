/* FEAST 8x6, 6 features of 3x3: inner loops, portable kernel.
 * Generated; change the model or the templates instead. Model e7132194ccc1e3c3, build c355ad5050f0aa3e. */

#ifndef FEAST_KERNEL_H
#define FEAST_KERNEL_H

#include "feast_internal.h"
#include "feast_simd.h"

/* Products of a patch with the FEAST_GROUP features of a block, written to `dots`. `weights` is the block's
 * row that faces the first row of the patch. One load of two cells serves all features of the block. */
static inline void feast_dots(const feast_patch_t *patch, const feast_pair_t *weights, int32_t *dots)
{
    const int16_t *cells = patch->cells;
    int32_t sum0 = 0;
    int32_t sum1 = 0;
    int32_t sum2 = 0;
    int32_t sum3 = 0;
    for (uint32_t row = patch->rows; row != 0u; row--) {
        int32_t cell0;
        int32_t cell1;
        cell0 = cells[0];
        cell1 = cells[1];
        sum0 += cell0 * feast_lane0(weights[0]) + cell1 * feast_lane1(weights[0]);
        sum1 += cell0 * feast_lane0(weights[1]) + cell1 * feast_lane1(weights[1]);
        sum2 += cell0 * feast_lane0(weights[2]) + cell1 * feast_lane1(weights[2]);
        sum3 += cell0 * feast_lane0(weights[3]) + cell1 * feast_lane1(weights[3]);
        cell0 = cells[FEAST_SIDE - 1];
        sum0 += cell0 * feast_lane0(weights[4]);
        sum1 += cell0 * feast_lane0(weights[5]);
        sum2 += cell0 * feast_lane0(weights[6]);
        sum3 += cell0 * feast_lane0(weights[7]);
        cells += FEAST_STRIDE;
        weights += FEAST_BLOCK_ROW;
    }
    dots[0] = sum0;
    dots[1] = sum1;
    dots[2] = sum2;
    dots[3] = sum3;
}

/* Sum of the squares of a patch. */
static inline uint32_t feast_squares(const feast_patch_t *patch)
{
    const int16_t *cells = patch->cells;
    uint32_t squares = 0;
    for (uint32_t row = patch->rows; row != 0u; row--) {
        int32_t sum = (int32_t)cells[FEAST_SIDE - 1] * cells[FEAST_SIDE - 1];
        sum += (int32_t)cells[0] * cells[0] + (int32_t)cells[1] * cells[1];
        squares += (uint32_t)sum;
        cells += FEAST_STRIDE;
    }
    return squares;
}

#endif
