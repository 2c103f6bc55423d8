/* FEAST 8x6, 3 features of 3x3: filters before the network.
 * Generated; change the model or the templates instead. Model 5742232368656070, build f4fe4b60d8c839d5. */

/* The rules: docs/numerics.md section 14.
 * hot pixels: 2, refractory 100 us in cells of 2x2, background 2000 us in cells of 2x2, downsampled
 * 15x12 to 8x6. */
#include "feast_filter.h"

#include <string.h>

/* A stamp says when a cell last fired, in ticks since FEAST_SPAN_TICKS before the tick its row counts from. So the
 * present tick is at least FEAST_SPAN_TICKS, and a stamp of 0, a cell that never fired, is too old to count.
 * What the row counts from moves on when a stamp would not fit 16 bits: seldom, and only for rows that are touched.
 * It has 64 bits, so no silence is long enough to make an old stamp look fresh. */
static FEAST_NOINLINE void age_stamps(uint16_t *stamps, uint32_t ticks)
{
    for (uint32_t i = 0; i < FEAST_CELL_COLUMNS; i++) {
        stamps[i] = (uint16_t)(stamps[i] > ticks ? stamps[i] - ticks : 0u);
    }
}

/* The present tick as a stamp of this row. */
static uint32_t present_stamp(feast_t *self, uint32_t row)
{
    const uint64_t tick = self->seen_us >> FEAST_TICK_SHIFT;
    const uint64_t elapsed = tick - self->row_tick[row];
    if (elapsed <= FEAST_STAMP_REACH) {
        return (uint32_t)elapsed + FEAST_SPAN_TICKS;
    }
    age_stamps(&self->stamps[row * FEAST_CELL_COLUMNS], elapsed < 0xFFFFu ? (uint32_t)elapsed : 0xFFFFu);
    self->row_tick[row] = tick;
    return FEAST_SPAN_TICKS;
}

/* Whether one of the cells around has fired less than FEAST_BACKGROUND_TICKS ago. */
static bool is_supported(feast_t *self, uint32_t column, uint32_t row)
{
    const uint32_t left = column > 0u ? column - 1u : 0u;
    const uint32_t right = column + 1u < FEAST_CELL_COLUMNS ? column + 1u : column;
    const uint32_t top = row > 0u ? row - 1u : 0u;
    const uint32_t bottom = row + 1u < FEAST_CELL_ROWS ? row + 1u : row;
    for (uint32_t r = top; r <= bottom; r++) {
        const uint32_t now = present_stamp(self, r);
        const uint16_t *stamps = &self->stamps[r * FEAST_CELL_COLUMNS];
        for (uint32_t i = left; i <= right; i++) {
            if ((i != column || r != row) && now - stamps[i] < FEAST_BACKGROUND_TICKS) {
                return true;
            }
        }
    }
    return false;
}

uint16_t feast_filter_ticks_left(const feast_t *self, uint32_t cell)
{
    const uint64_t tick = self->seen_us >> FEAST_TICK_SHIFT;
    const uint64_t elapsed = tick - self->row_tick[cell / FEAST_CELL_COLUMNS];
    const uint16_t stamp = self->stamps[cell];
    return (uint16_t)(stamp > elapsed ? stamp - elapsed : 0u);
}

bool feast_filter_passes(feast_t *self, const feast_event_t *event)
{
    self->seen = true;
    self->seen_us = event->t_us;
    const uint32_t pixel = (uint32_t)event->y * FEAST_CAMERA_WIDTH + event->x;
    if (((feast_hot_pixels[pixel / 32u] >> (pixel % 32u)) & 1u) != 0u) {
        return false;
    }
    const uint32_t column = (uint32_t)event->x >> FEAST_CELL_SHIFT;
    const uint32_t row = (uint32_t)event->y >> FEAST_CELL_SHIFT;
    const uint32_t now = present_stamp(self, row);
    uint16_t *stamp = &self->stamps[row * FEAST_CELL_COLUMNS + column];
    if (now - *stamp < FEAST_REFRACTORY_TICKS) {
        return false;
    }
    *stamp = (uint16_t)now;
    return is_supported(self, column, row);
}

void feast_filter_reset(feast_t *self)
{
    self->seen = false;
    self->seen_us = 0;
    (void)memset(self->row_tick, 0, sizeof self->row_tick);
    (void)memset(self->stamps, 0, sizeof self->stamps);
}
