/* FEAST 8x6, 3 features of 3x3: filters before the network.
 * Generated; change the model or the templates instead. Model 5742232368656070, build f4fe4b60d8c839d5. */

#ifndef FEAST_FILTER_H
#define FEAST_FILTER_H

#include "feast_internal.h"

#define FEAST_CELL_SHIFT 1u /* a cell is 2^FEAST_CELL_SHIFT camera pixels wide and high */
#define FEAST_CELL_COLUMNS 8u
#define FEAST_CELL_ROWS 6u
#define FEAST_TICK_SHIFT 0u /* a tick is 2^FEAST_TICK_SHIFT us */
#define FEAST_REFRACTORY_TICKS 100u
#define FEAST_BACKGROUND_TICKS 2000u
#define FEAST_SPAN_TICKS 2000u /* how long the last event of a cell counts */
#define FEAST_STAMP_REACH (65535u - FEAST_SPAN_TICKS) /* ticks a row of stamps covers beyond that */

static_assert(FEAST_SPAN_TICKS >= 1u && FEAST_SPAN_TICKS <= 32768u, "stamps are 16 bits");

/* Whether an event reaches the network; it must be on the camera and no earlier than the one before. */
bool feast_filter_passes(feast_t *self, const feast_event_t *event);

void feast_filter_reset(feast_t *self);

/* Ticks for which the last event of a cell still counts, 0 if it does not any more. */
uint16_t feast_filter_ticks_left(const feast_t *self, uint32_t cell);

#endif
