/* FEAST 8x6, 3 features of 3x3: inner loops, portable kernel.
 * Generated; change the model or the templates instead. Model 2ce85ac37437e324, build da2d766f6b2902d4. */

#ifndef FEAST1_KERNEL_H
#define FEAST1_KERNEL_H

#include "feast1_internal.h"

/* In a block the weights lie row by row, in a row pair by pair of neighbours, and the features of the block
 * side by side. The last pair of a row holds one weight and a zero. */
#define FEAST1_PAIRS 2u /* of a row */
#define FEAST1_ROW_WORDS (FEAST1_PAIRS * FEAST1_GROUP)
static_assert(FEAST1_BLOCK_WORDS == FEAST1_ROWS * FEAST1_ROW_WORDS, "size of a block");

/* Word and lane of component `i` of a feature. */
static inline uint32_t feast1_word_of(uint32_t feature, uint32_t i)
{
    const uint32_t pair = i / FEAST1_SIDE * FEAST1_PAIRS + i % FEAST1_SIDE / 2u;
    return feast1_block_of(feature) + pair * FEAST1_GROUP + feature % FEAST1_NEURONS % FEAST1_GROUP;
}

static inline uint32_t feast1_lane_of(uint32_t i)
{
    return i % FEAST1_SIDE % 2u;
}

static inline int32_t feast1_weight(const feast1_pair_t *weights, uint32_t feature, uint32_t i)
{
    const feast1_pair_t pair = weights[feast1_word_of(feature, i)];
    return feast1_lane_of(i) == 0u ? feast1_lane0(pair) : feast1_lane1(pair);
}

/* The patch around an event: `rows` rows of FEAST1_SIDE cells, FEAST1_STRIDE apart, read where they lie.
 * The first one is row `top` of the full patch; rows above and below them, off the sensor, are zero. */
typedef struct {
    const int16_t *cells;
    uint32_t top;
    uint32_t rows;
} feast1_patch_t;

static inline void feast1_take_patch(feast1_patch_t *patch, const int16_t *cells, uint32_t top, uint32_t rows)
{
    patch->cells = cells;
    patch->top = top;
    patch->rows = rows;
}

/* Halves the values of a row `octaves` times, truncating magnitudes; fewer than FEAST1_DEAD_OCTAVES. */
static inline void feast1_halve_row(int16_t *row, uint32_t octaves)
{
    /* Four cells at once: the mask drops the bits that leave a lane at its lower end. */
    const uint32_t mask = (0x7FFFu >> octaves) * 0x10001u;
    for (uint32_t i = 0; i < FEAST1_STRIDE; i += 4u) {
        const feast1_two_t cells = feast1_load_two(&row[i]);
        const feast1_two_t halved = { (cells.first >> octaves) & mask, (cells.second >> octaves) & mask };
        feast1_store_two(&row[i], halved);
    }
}

/* Products of a patch with the features of a block. One load of two cells serves all of them. */
static inline void feast1_dots(const feast1_patch_t *patch, const feast1_pair_t *block, int32_t *dots)
{
    const int16_t *cells = patch->cells;
    const feast1_pair_t *weights = block + patch->top * FEAST1_ROW_WORDS;
    int32_t sum0 = 0;
    int32_t sum1 = 0;
    int32_t sum2 = 0;
    int32_t sum3 = 0;
    for (uint32_t row = patch->rows; row != 0u; row--) {
        feast1_pair_t pair;
        int32_t cell0;
        int32_t cell1;
        cell0 = cells[0];
        cell1 = cells[1];
        pair = feast1_load_weights(&weights[0]);
        sum0 += cell0 * feast1_lane0(pair);
        sum0 += cell1 * feast1_lane1(pair);
        pair = feast1_load_weights(&weights[1]);
        sum1 += cell0 * feast1_lane0(pair);
        sum1 += cell1 * feast1_lane1(pair);
        pair = feast1_load_weights(&weights[2]);
        sum2 += cell0 * feast1_lane0(pair);
        sum2 += cell1 * feast1_lane1(pair);
        pair = feast1_load_weights(&weights[3]);
        sum3 += cell0 * feast1_lane0(pair);
        sum3 += cell1 * feast1_lane1(pair);
        cell0 = cells[2];
        cell1 = cells[3];
        pair = feast1_load_weights(&weights[4]);
        sum0 += cell0 * feast1_lane0(pair);
        sum0 += cell1 * feast1_lane1(pair);
        pair = feast1_load_weights(&weights[5]);
        sum1 += cell0 * feast1_lane0(pair);
        sum1 += cell1 * feast1_lane1(pair);
        pair = feast1_load_weights(&weights[6]);
        sum2 += cell0 * feast1_lane0(pair);
        sum2 += cell1 * feast1_lane1(pair);
        pair = feast1_load_weights(&weights[7]);
        sum3 += cell0 * feast1_lane0(pair);
        sum3 += cell1 * feast1_lane1(pair);
        weights += FEAST1_ROW_WORDS;
        cells += FEAST1_STRIDE;
    }
    dots[0] = sum0;
    dots[1] = sum1;
    dots[2] = sum2;
    dots[3] = sum3;
}

#endif
