/* FEAST 8x6, 3 features of 3x3: class scores.
 * Generated; change the model or the templates instead. Model 599197ec5cbfe590, build 9983abc46f159fd9. */

#include "feast_readout.h"

#include <string.h>

void feast_readout_reset(feast_t *self)
{
    (void)memset(self->scores, 0, sizeof self->scores);
    self->scored = false;
}

void feast_readout_add(feast_t *self, uint32_t feature, uint32_t x, uint32_t y)
{
    const uint32_t cell = (uint32_t)feast_readout_row_cells[y] + feast_readout_column_cells[x];
    const int16_t *row = &feast_readout_rows[(cell * FEAST_FEATURES + feature) * FEAST_CLASSES];
    for (uint32_t i = 0; i < FEAST_CLASSES; i++) {
        self->scores[i] += row[i];
    }
    self->scored = true;
}

uint16_t feast_readout_word(const feast_t *self, uint32_t index)
{
    if (index == 4u * FEAST_CLASSES) {
        return self->scored ? 1u : 0u;
    }
    const uint32_t shift = 16u * (index % 4u);
    return (uint16_t)((uint64_t)self->scores[index / 4u] >> shift);
}

int64_t feast_score(const feast_t *self, uint32_t index)
{
    return self->scores[index];
}

int32_t feast_class(const feast_t *self)
{
    if (!self->scored) {
        return -1;
    }
    uint32_t best = 0;
    for (uint32_t i = 1; i < FEAST_CLASSES; i++) {
        if (self->scores[i] > self->scores[best]) {
            best = i;
        }
    }
    return (int32_t)best;
}
