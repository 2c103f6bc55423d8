/* FEAST 8x6, 3 features of 3x3: inner loops, portable kernel.
 * Generated; change the model or the templates instead. Model 599197ec5cbfe590, build 9983abc46f159fd9. */

#ifndef FEAST_KERNEL_H
#define FEAST_KERNEL_H

#include "feast_internal.h"

/* In a block the weights lie row by row, in a row pair by pair of neighbours, and the features of the block
 * side by side. The last pair of a row holds one weight and a zero. */
#define FEAST_PAIRS 2u /* of a row */
#define FEAST_ROW_WORDS (FEAST_PAIRS * FEAST_GROUP)
static_assert(FEAST_BLOCK_WORDS == FEAST_ROWS * FEAST_ROW_WORDS, "size of a block");

/* Word and lane of component `i` of a feature. */
static inline uint32_t feast_word_of(uint32_t feature, uint32_t i)
{
    const uint32_t pair = i / FEAST_SIDE * FEAST_PAIRS + i % FEAST_SIDE / 2u;
    return feast_block_of(feature) + pair * FEAST_GROUP + feature % FEAST_NEURONS % FEAST_GROUP;
}

static inline uint32_t feast_lane_of(uint32_t i)
{
    return i % FEAST_SIDE % 2u;
}

static inline int32_t feast_weight(const feast_pair_t *weights, uint32_t feature, uint32_t i)
{
    const feast_pair_t pair = weights[feast_word_of(feature, i)];
    return feast_lane_of(i) == 0u ? feast_lane0(pair) : feast_lane1(pair);
}

/* The patch around an event: `rows` rows of FEAST_SIDE cells, FEAST_STRIDE apart, read where they lie.
 * The first one is row `top` of the full patch; rows above and below them, off the sensor, are zero. */
typedef struct {
    const int16_t *cells;
    uint32_t top;
    uint32_t rows;
} feast_patch_t;

static inline void feast_take_patch(feast_patch_t *patch, const int16_t *cells, uint32_t top, uint32_t rows)
{
    patch->cells = cells;
    patch->top = top;
    patch->rows = rows;
}

/* Halves the values of a row `octaves` times, truncating magnitudes; fewer than FEAST_DEAD_OCTAVES. */
static inline void feast_halve_row(int16_t *row, uint32_t octaves)
{
    /* Four cells at once: the mask drops the bits that leave a lane at its lower end. */
    const uint32_t mask = (0x7FFFu >> octaves) * 0x10001u;
    for (uint32_t i = 0; i < FEAST_STRIDE; i += 4u) {
        const feast_two_t cells = feast_load_two(&row[i]);
        const feast_two_t halved = { (cells.first >> octaves) & mask, (cells.second >> octaves) & mask };
        feast_store_two(&row[i], halved);
    }
}

/* Products of a patch with the features of a block. One load of two cells serves all of them. */
static inline void feast_dots(const feast_patch_t *patch, const feast_pair_t *block, int32_t *dots)
{
    const int16_t *cells = patch->cells;
    const feast_pair_t *weights = block + patch->top * FEAST_ROW_WORDS;
    int32_t sum0 = 0;
    int32_t sum1 = 0;
    int32_t sum2 = 0;
    int32_t sum3 = 0;
    for (uint32_t row = patch->rows; row != 0u; row--) {
        feast_pair_t pair;
        int32_t cell0;
        int32_t cell1;
        cell0 = cells[0];
        cell1 = cells[1];
        pair = feast_load_weights(&weights[0]);
        sum0 += cell0 * feast_lane0(pair);
        sum0 += cell1 * feast_lane1(pair);
        pair = feast_load_weights(&weights[1]);
        sum1 += cell0 * feast_lane0(pair);
        sum1 += cell1 * feast_lane1(pair);
        pair = feast_load_weights(&weights[2]);
        sum2 += cell0 * feast_lane0(pair);
        sum2 += cell1 * feast_lane1(pair);
        pair = feast_load_weights(&weights[3]);
        sum3 += cell0 * feast_lane0(pair);
        sum3 += cell1 * feast_lane1(pair);
        cell0 = cells[2];
        cell1 = cells[3];
        pair = feast_load_weights(&weights[4]);
        sum0 += cell0 * feast_lane0(pair);
        sum0 += cell1 * feast_lane1(pair);
        pair = feast_load_weights(&weights[5]);
        sum1 += cell0 * feast_lane0(pair);
        sum1 += cell1 * feast_lane1(pair);
        pair = feast_load_weights(&weights[6]);
        sum2 += cell0 * feast_lane0(pair);
        sum2 += cell1 * feast_lane1(pair);
        pair = feast_load_weights(&weights[7]);
        sum3 += cell0 * feast_lane0(pair);
        sum3 += cell1 * feast_lane1(pair);
        weights += FEAST_ROW_WORDS;
        cells += FEAST_STRIDE;
    }
    dots[0] = sum0;
    dots[1] = sum1;
    dots[2] = sum2;
    dots[3] = sum3;
}

#endif
