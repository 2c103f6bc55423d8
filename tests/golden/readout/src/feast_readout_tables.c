/* FEAST 8x6, 3 features of 3x3: constant tables of class scores.
 * Generated; change the model or the templates instead. Model 599197ec5cbfe590, build 9983abc46f159fd9. */

#include "feast_readout.h"

/* y * 2 / 6 * 2 and x * 2 / 8. */
const uint16_t feast_readout_row_cells[FEAST_SENSOR_HEIGHT] = {
    0, 0, 0, 2, 2, 2
};
const uint16_t feast_readout_column_cells[FEAST_SENSOR_WIDTH] = {
    0, 0, 0, 0, 1, 1, 1, 1
};

/* Q13: for each cell and feature, what an event adds to the classes. */
const int16_t feast_readout_rows[FEAST_READOUT_CELLS * FEAST_FEATURES * FEAST_CLASSES] = {
    -4326, -20108, 13824, -6438, -2854, 7192, -110, -11268, 332, -4497, -7061, -1128, -9744, -5520, 2673,
    -2394, -3653, 8226, 5326, 2310, -1848, 2402, 7478, 4709, -11121, -2115, 5118, -15722, 10132, 10853,
    -10462, -6511, 8181, -5018, 1818, 9334
};
