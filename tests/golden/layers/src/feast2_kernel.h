/* FEAST 8x6, 3 features of 3x3: inner loops, portable kernel.
 * Generated; change the model or the templates instead. Model 913dc05fb71307f2, build ff1c8fed089b5a78. */

#ifndef FEAST2_KERNEL_H
#define FEAST2_KERNEL_H

#include "feast2_internal.h"

/* In a block the weights lie row by row, in a row pair by pair of neighbours, and the features of the block
 * side by side. The last pair of a row holds one weight and a zero. */
#define FEAST2_PAIRS 2u /* of a row */
#define FEAST2_ROW_WORDS (FEAST2_PAIRS * FEAST2_GROUP)
static_assert(FEAST2_BLOCK_WORDS == FEAST2_ROWS * FEAST2_ROW_WORDS, "size of a block");

/* Word and lane of component `i` of a feature. */
static inline uint32_t feast2_word_of(uint32_t feature, uint32_t i)
{
    const uint32_t pair = i / FEAST2_SIDE * FEAST2_PAIRS + i % FEAST2_SIDE / 2u;
    return feast2_block_of(feature) + pair * FEAST2_GROUP + feature % FEAST2_NEURONS % FEAST2_GROUP;
}

static inline uint32_t feast2_lane_of(uint32_t i)
{
    return i % FEAST2_SIDE % 2u;
}

static inline int32_t feast2_weight(const feast2_pair_t *weights, uint32_t feature, uint32_t i)
{
    const feast2_pair_t pair = weights[feast2_word_of(feature, i)];
    return feast2_lane_of(i) == 0u ? feast2_lane0(pair) : feast2_lane1(pair);
}

/* The patch around an event: `rows` rows of FEAST2_SIDE cells, FEAST2_STRIDE apart, read where they lie.
 * The first one is row `top` of the full patch; rows above and below them, off the sensor, are zero. */
typedef struct {
    const int16_t *cells;
    uint32_t top;
    uint32_t rows;
    uint32_t count;
    uint16_t filled[FEAST2_ROWS]; /* of these rows the `count` that are not all zero: most channels are quiet */
} feast2_patch_t;

static inline bool feast2_is_quiet(const int16_t *cells)
{
    uint32_t any = (uint16_t)cells[FEAST2_SIDE - 1u];
    any |= (uint32_t)(uint16_t)cells[0] | (uint32_t)(uint16_t)cells[1];
    return any == 0u;
}

static inline void feast2_take_patch(feast2_patch_t *patch, const int16_t *cells, uint32_t top, uint32_t rows)
{
    patch->cells = cells;
    patch->top = top;
    patch->rows = rows;
    patch->count = 0;
    for (uint32_t row = 0; row < rows; row++) {
        if (!feast2_is_quiet(&cells[row * FEAST2_STRIDE])) {
            patch->filled[patch->count] = (uint16_t)row;
            patch->count++;
        }
    }
}

/* Halves the values of a row `octaves` times, truncating magnitudes; fewer than FEAST2_DEAD_OCTAVES. */
static inline void feast2_halve_row(int16_t *row, uint32_t octaves)
{
    /* Four cells at once: the mask drops the bits that leave a lane at its lower end. */
    const uint32_t mask = (0x7FFFu >> octaves) * 0x10001u;
    for (uint32_t i = 0; i < FEAST2_STRIDE; i += 4u) {
        const feast2_two_t cells = feast2_load_two(&row[i]);
        const feast2_two_t halved = { (cells.first >> octaves) & mask, (cells.second >> octaves) & mask };
        feast2_store_two(&row[i], halved);
    }
}

/* Products of a patch with the features of a block. One load of two cells serves all of them. */
static inline void feast2_dots(const feast2_patch_t *patch, const feast2_pair_t *block, int32_t *dots)
{
    int32_t sum0 = 0;
    int32_t sum1 = 0;
    int32_t sum2 = 0;
    int32_t sum3 = 0;
    for (uint32_t i = 0; i < patch->count; i++) {
        const uint32_t row = patch->filled[i];
        const int16_t *cells = patch->cells + row * FEAST2_STRIDE;
        const feast2_pair_t *weights = block + (patch->top + row) * FEAST2_ROW_WORDS;
        feast2_pair_t pair;
        int32_t cell0;
        int32_t cell1;
        cell0 = cells[0];
        cell1 = cells[1];
        pair = feast2_load_weights(&weights[0]);
        sum0 += cell0 * feast2_lane0(pair);
        sum0 += cell1 * feast2_lane1(pair);
        pair = feast2_load_weights(&weights[1]);
        sum1 += cell0 * feast2_lane0(pair);
        sum1 += cell1 * feast2_lane1(pair);
        pair = feast2_load_weights(&weights[2]);
        sum2 += cell0 * feast2_lane0(pair);
        sum2 += cell1 * feast2_lane1(pair);
        pair = feast2_load_weights(&weights[3]);
        sum3 += cell0 * feast2_lane0(pair);
        sum3 += cell1 * feast2_lane1(pair);
        cell0 = cells[2];
        cell1 = cells[3];
        pair = feast2_load_weights(&weights[4]);
        sum0 += cell0 * feast2_lane0(pair);
        sum0 += cell1 * feast2_lane1(pair);
        pair = feast2_load_weights(&weights[5]);
        sum1 += cell0 * feast2_lane0(pair);
        sum1 += cell1 * feast2_lane1(pair);
        pair = feast2_load_weights(&weights[6]);
        sum2 += cell0 * feast2_lane0(pair);
        sum2 += cell1 * feast2_lane1(pair);
        pair = feast2_load_weights(&weights[7]);
        sum3 += cell0 * feast2_lane0(pair);
        sum3 += cell1 * feast2_lane1(pair);
    }
    dots[0] = sum0;
    dots[1] = sum1;
    dots[2] = sum2;
    dots[3] = sum3;
}

/* Sum of the squares of a patch. */
static inline uint32_t feast2_squares(const feast2_patch_t *patch)
{
    const int16_t *cells = patch->cells;
    uint32_t squares = 0;
    for (uint32_t row = patch->rows; row != 0u; row--) {
        int32_t sum = (int32_t)cells[FEAST2_SIDE - 1u] * cells[FEAST2_SIDE - 1u];
        sum += (int32_t)cells[0] * cells[0] + (int32_t)cells[1] * cells[1];
        squares += (uint32_t)sum;
        cells += FEAST2_STRIDE;
    }
    return squares;
}

/* What changes from pair to pair of one update. */
typedef struct {
    feast2_pair_t *weights; /* the next pair */
    int32_t norm2;
} feast2_update_t;

/* Moves a pair of weights towards two cells. `lanes` masks the lanes there are. */
static inline feast2_update_t feast2_move_pair(feast2_update_t update, feast2_factors_t factors, feast2_pair_t cells, feast2_pair_t lanes)
{
    const feast2_pair_t pair = *update.weights;
    const int32_t change0 = feast2_mac_lane0(-factors.decay, pair, feast2_mac_lane0(factors.gain, cells, factors.dither));
    const int32_t change1 = feast2_mac_lane1(-factors.decay, pair, feast2_mac_lane1(factors.gain, cells, factors.dither));
    const uint32_t high0 = (uint32_t)change0 << (16u - FEAST2_LEARNING_SHIFT);
    const uint32_t high1 = (uint32_t)change1 << (16u - FEAST2_LEARNING_SHIFT);
    const feast2_pair_t moved = feast2_add_saturating(pair, ((high1 & 0xFFFF0000u) | (high0 >> 16)) & lanes);
    *update.weights = moved;
    const feast2_update_t next = { update.weights + FEAST2_GROUP, feast2_mac2(moved, moved, update.norm2) };
    return next;
}

/* Two cells of a row as a pair, the first in lane 0. */
static inline feast2_pair_t feast2_cell_pair(const int16_t *cells)
{
    return (uint32_t)(uint16_t)cells[0] | ((uint32_t)(uint16_t)cells[1] << 16);
}

/* Moves `rows` rows of weights towards rows of cells that lie `stride` apart. */
static inline feast2_update_t feast2_move_rows(feast2_update_t update, feast2_factors_t factors, const int16_t *cells, uint32_t rows, uint32_t stride)
{
    for (; rows != 0u; rows--) {
        update = feast2_move_pair(update, factors, feast2_cell_pair(&cells[0]), 0xFFFFFFFFu);
        update = feast2_move_pair(update, factors, (uint16_t)cells[FEAST2_SIDE - 1u], 0x0000FFFFu);
        cells = &cells[stride];
    }
    return update;
}

/* Moves the weights of a feature towards a patch; returns their new squared norm. */
static inline uint32_t feast2_move(feast2_pair_t *weights, uint32_t feature, const feast2_patch_t *patch, feast2_factors_t factors)
{
    static const int16_t off_sensor[FEAST2_SIDE] = { 0 };
    const uint32_t below = FEAST2_ROWS - patch->top - patch->rows;
    feast2_update_t update = { &weights[feast2_word_of(feature, 0u)], 0 };
    update = feast2_move_rows(update, factors, off_sensor, patch->top, 0u);
    update = feast2_move_rows(update, factors, patch->cells, patch->rows, FEAST2_STRIDE);
    update = feast2_move_rows(update, factors, off_sensor, below, 0u);
    return (uint32_t)update.norm2;
}

#endif
