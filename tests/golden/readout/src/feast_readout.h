/* FEAST 8x6, 3 features of 3x3: class scores, for feast.c.
 * Generated; change the model or the templates instead. Model 599197ec5cbfe590, build 9983abc46f159fd9. */

#ifndef FEAST_READOUT_H
#define FEAST_READOUT_H

#include "feast.h"

#define FEAST_READOUT_CELLS 4u /* 2x2 over the sensor, row by row */

/* The first cell of the row of cells that a sensor row lies in, and the column of cells of a sensor column:
 * no event needs a division. */
extern const uint16_t feast_readout_row_cells[FEAST_SENSOR_HEIGHT];
extern const uint16_t feast_readout_column_cells[FEAST_SENSOR_WIDTH];
extern const int16_t feast_readout_rows[FEAST_READOUT_CELLS * FEAST_FEATURES * FEAST_CLASSES];

/* Begins a new recording: all scores 0. */
void feast_readout_reset(feast_t *self);

/* Adds what an event at pixel x, y that `feature` won says about each class: docs/numerics.md section 13. */
void feast_readout_add(feast_t *self, uint32_t feature, uint32_t x, uint32_t y);

/* Words of the scores, 4 for each class and one flag, for feast_snapshot_word. */
uint16_t feast_readout_word(const feast_t *self, uint32_t index);

#endif
