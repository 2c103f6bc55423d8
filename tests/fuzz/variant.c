/* The table of one variant; VARIANT is its name. Compiled with the names of the library renamed. */
#include "variant.h"

#include "feast.h"

static void init(void *self) { feast_init(self); }
static void reset(void *self) { feast_reset(self); }
static int16_t step(void *self, const void *event) { return feast_step(self, event); }
static uint16_t word(const void *self, uint32_t index) { return feast_snapshot_word(self, index); }

#if FEAST_LEARNING
static void set_learning(void *self, bool on) { feast_set_learning(self, on); }
static void import_word(void *self, uint32_t index, uint16_t value) { feast_import_word(self, index, value); }
static bool import_finish(void *self) { return feast_import_finish(self); }
#else
static void set_learning(void *self, bool on) { (void)self; (void)on; }
static void import_word(void *self, uint32_t index, uint16_t value) { (void)self; (void)index; (void)value; }
static bool import_finish(void *self) { (void)self; return true; }
#endif

static uint32_t query(const void *self, uint32_t feature)
{
    feast_signals_t signals;
    feast_signals(self, &signals);
    return feast_wins(self, feature) ^ (uint32_t)feast_threshold(self, feature) ^ signals.hits ^ signals.misses
           ^ signals.window_events;
}

static void event(void *self, uint64_t t_us, uint16_t x, uint16_t y)
{
    feast_event_t *of = self;
    of->t_us = t_us;
    of->x = x;
    of->y = y;
}

#ifdef FEAST_CAMERA_WIDTH /* events are in pixels of the camera before the filters */
#define WIDTH FEAST_CAMERA_WIDTH
#define HEIGHT FEAST_CAMERA_HEIGHT
#else
#define WIDTH FEAST_SENSOR_WIDTH
#define HEIGHT FEAST_SENSOR_HEIGHT
#endif

const variant_t VARIANT = {
    sizeof(feast_t), sizeof(feast_event_t), WIDTH, HEIGHT, FEAST_FEATURES,
    FEAST_STATE_WORDS, FEAST_SNAPSHOT_WORDS, FEAST_LEARNING != 0,
    init, reset, step, word, set_learning, import_word, import_finish, query, event,
};
