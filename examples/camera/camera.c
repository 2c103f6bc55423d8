/* Events from a camera on a port of the board, instead of the serial link:
 *
 *     codegen build --board NAME MODEL --driver examples/camera
 *
 * The camera's interrupt reads an event and puts it into a queue; the main loop takes it from there. When the loop falls
 * behind, the queue drops the oldest events and counts them. What stands in for the camera here is a vertical bar that moves to the right, and an interrupt that the program raises itself. */
#include "driver.h"
#include "event_queue.h"

#define CAMERA_IRQ 5u /* of the port or DMA channel the camera is on */
#define NVIC_ISER 0xE000E100u
#define NVIC_ISPR 0xE000E200u
#define QUEUE_EVENTS 64u /* a power of two */
#define STEP_US 500u

void camera_output(const feast_event_t *event, int16_t result);

typedef struct {
    feast_event_t room[QUEUE_EVENTS];
    event_queue_t queue;
    uint16_t x, y; /* where the stand-in is */
} camera_t;

static camera_t camera;

static void write_register(uint32_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

/* Put the reading of your camera here: pixel and polarity from its port, time from a timer that counts
 * microseconds. */
static feast_event_t read_camera(void)
{
    const feast_event_t event = {
        .t_us = (uint64_t)camera.x * STEP_US + camera.y, .x = camera.x % FEAST_SENSOR_WIDTH, .y = camera.y, .polarity = 1};
    camera.y++;
    if (camera.y == FEAST_SENSOR_HEIGHT) {
        camera.y = 0;
        camera.x++;
    }
    return event;
}

void driver_interrupt(uint32_t number)
{
    if (number != CAMERA_IRQ) {
        return;
    }
    const feast_event_t event = read_camera();
    (void)event_queue_put(&camera.queue, &event); /* event_queue_dropped counts */
}

static bool next(void *context, feast_event_t *event)
{
    camera_t *self = context;
    if (!event_queue_take(&self->queue, event)) {
        write_register(NVIC_ISPR, 1u << CAMERA_IRQ); /* the stand-in: a real camera raises its own interrupt */
        return false;
    }
    return true;
}

/* Define this in another file to do something with the results. */
__attribute__((weak)) void camera_output(const feast_event_t *event, int16_t result)
{
    (void)event;
    (void)result;
}

static void result(void *context, const feast_event_t *event, int16_t id)
{
    (void)context;
    camera_output(event, id);
}

const driver_t *driver_setup(feast_t *feast)
{
    static const driver_t driver = {.next = next, .result = result, .context = &camera};
    (void)feast;
    (void)event_queue_init(&camera.queue, camera.room, QUEUE_EVENTS, EVENT_QUEUE_DROP_OLDEST);
    write_register(NVIC_ISER, 1u << CAMERA_IRQ);
    return &driver;
}
