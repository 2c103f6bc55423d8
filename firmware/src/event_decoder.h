/* The events of an EVENTS frame, one by one: varint(step_us << 1 | polarity), x, y. */
#ifndef FEAST_BATCH_H
#define FEAST_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "feast.h"
#include "feast_wire.h"

/* What events are given in: a library with filters names the camera, another takes the network's pixels. */
#ifdef FEAST_CAMERA_WIDTH
#define BATCH_CAMERA_WIDTH FEAST_CAMERA_WIDTH
#define BATCH_CAMERA_HEIGHT FEAST_CAMERA_HEIGHT
#define BATCH_DOWNSAMPLE FEAST_DOWNSAMPLE
#else
#define BATCH_CAMERA_WIDTH FEAST_SENSOR_WIDTH
#define BATCH_CAMERA_HEIGHT FEAST_SENSOR_HEIGHT
#define BATCH_DOWNSAMPLE 0
#endif

#if BATCH_CAMERA_WIDTH <= FEAST_WIRE_NARROW_SIDE && BATCH_CAMERA_HEIGHT <= FEAST_WIRE_NARROW_SIDE
#define BATCH_COORDINATE_BYTES 1u
#else
#define BATCH_COORDINATE_BYTES 2u
#endif

/* What is left of a batch, and the last event taken from it. */
typedef struct {
    const uint8_t *at;
    const uint8_t *end;
    feast_event_t event;
} batch_t;

/* A batch in `count` bytes whose first step counts from `base_us`. The bytes must outlive it. */
batch_t batch_open(const uint8_t *bytes, uint32_t count, uint64_t base_us);

/* Takes the next event into `self->event`. False at the end, and where an event is cut short or its step
 * exceeds 32 bits; then `at` is not at `end`. */
bool batch_next(batch_t *self);

/* Counts the events of a batch that nothing was taken from; false if it is malformed. */
bool batch_count(batch_t batch, uint32_t *count);

#endif
