#include "link.h"

#include <string.h>

#include "event_decoder.h"
#include "port.h"
#include "responses.h"
#include "state.h"
#include "persist.h"

_Static_assert((LINK_RESULT_WINDOW & (LINK_RESULT_WINDOW - 1u)) == 0u, "LINK_RESULT_WINDOW: a power of two");
_Static_assert(LINK_RESULTS_PER_FRAME <= LINK_RESULT_WINDOW, "a frame of results lies within the window");
_Static_assert(LINK_FRAME_BYTES >= 64u && LINK_FRAME_BYTES <= 65535u, "LINK_FRAME_BYTES: 64 to 65535");
_Static_assert(FEAST_WIRE_DONE_BYTES <= FEAST_WIRE_HELLO_REPLY_BYTES, "DONE fits where HELLO_REPLY does");
_Static_assert(FRAMING_CRC_BYTES == FEAST_WIRE_CRC_BYTES, "one kind of checksum");

#define MAX_SEQUENCE_STEP 0x8000u /* a larger step forward is a step back */
#define CHUNK_BYTES 32u /* received bytes taken at a time */

/* --- HELLO, START, POLL, END ----------------------------------------------------------------- */

static void on_hello(link_t *self)
{
    self->version_agreed = feast_wire_get_u16(&self->frame[FEAST_WIRE_HELLO_AT_VERSION]) == FEAST_WIRE_VERSION;
    reply_hello(self);
}

static void begin_run(link_t *self, uint8_t run, uint8_t flags)
{
    if ((flags & FEAST_WIRE_START_INITIALISE) != 0u) {
        feast_init(self->feast);
    } else {
        feast_reset(self->feast);
    }
#if FEAST_LEARNING
    feast_set_learning(self->feast, (flags & FEAST_WIRE_START_LEARNING) != 0u);
#endif
    self->run = run;
    self->uploading = false;
    self->events = 0;
    self->received = 0;
    self->sent = 0;
    self->result_digest = 0;
    self->ticks_total = 0;
    self->ticks_max = 0;
    for (uint32_t i = 0; i < FEAST_WIRE_COUNTERS; i++) {
        self->counters[i] = 0;
    }
    self->rx_overruns_before = port_rx_overruns();
    self->tx_dropped_before = port_tx_dropped();
}

static void on_start(link_t *self)
{
    const uint8_t run = self->frame[FEAST_WIRE_HEADER_AT_RUN];
    const uint8_t flags = self->frame[FEAST_WIRE_START_AT_FLAGS];
    if (!self->version_agreed) {
        reply_error(self, FEAST_WIRE_ERROR_VERSION, FEAST_WIRE_VERSION);
    } else if (run == 0u) {
        reply_error(self, FEAST_WIRE_ERROR_MALFORMED, FEAST_WIRE_START_BYTES);
    } else if (!FEAST_LEARNING && (flags & FEAST_WIRE_START_LEARNING) != 0u) {
        reply_error(self, FEAST_WIRE_ERROR_UNSUPPORTED, flags);
    } else if (self->uploading && (flags & FEAST_WIRE_START_INITIALISE) == 0u) {
        reply_error(self, FEAST_WIRE_ERROR_UPLOAD, 0);
    } else {
        if (run != self->run || self->uploading) {
            begin_run(self, run, flags);
        }
        reply_credit(self);
    }
}

static void on_poll(link_t *self)
{
    const uint32_t again = self->sent - self->received;
    self->counters[FEAST_WIRE_COUNTER_RESENT] += again;
    self->sent = self->received;
    reply_credit(self);
    reply_results(self);
}

static void on_end(link_t *self)
{
    const uint32_t events = feast_wire_get_u32(&self->frame[FEAST_WIRE_END_AT_EVENTS]);
    if (events != (uint32_t)self->events || events != self->received) {
        reply_error(self, FEAST_WIRE_ERROR_POSITION, events);
        return;
    }
    reply_done(self);
}

/* --- EVENTS ---------------------------------------------------------------------------------- */

static void step(link_t *self, const feast_event_t *event)
{
    const uint32_t before = port_ticks();
    const int16_t result = feast_step(self->feast, event);
    uint32_t ticks = (port_ticks() - before) & PORT_TICK_MASK;
    ticks = ticks > self->ticks_overhead ? ticks - self->ticks_overhead : 0u;
    self->ticks_total += ticks;
    self->ticks_max = ticks > self->ticks_max ? ticks : self->ticks_max;
    uint8_t word[2];
    feast_wire_put_u16(word, (uint16_t)result);
    self->result_digest = framing_crc32(self->result_digest, word, sizeof word);
    self->results[self->events % LINK_RESULT_WINDOW] = (link_result_t)result;
    self->events++;
}

/* A frame is processed whole or not at all. */
static void on_events(link_t *self, uint32_t length)
{
    const uint32_t first = feast_wire_get_u32(&self->frame[FEAST_WIRE_EVENTS_AT_FIRST]);
    batch_t batch = batch_open(&self->frame[FEAST_WIRE_EVENTS_BYTES], length - FEAST_WIRE_EVENTS_BYTES,
                               feast_wire_get_u64(&self->frame[FEAST_WIRE_EVENTS_AT_BASE_US]));
    uint32_t count;
    if (first != (uint32_t)self->events) {
        self->counters[FEAST_WIRE_COUNTER_OUT_OF_ORDER]++;
        reply_error(self, FEAST_WIRE_ERROR_OUT_OF_ORDER, first);
    } else if (!batch_count(batch, &count)) {
        reply_error(self, FEAST_WIRE_ERROR_MALFORMED, length);
    } else if (count > LINK_RESULT_WINDOW - ((uint32_t)self->events - self->received)) {
        reply_error(self, FEAST_WIRE_ERROR_WINDOW, count);
    } else {
        while (batch_next(&batch)) {
            step(self, &batch.event);
        }
        reply_results(self);
    }
}

/* --- frames ---------------------------------------------------------------------------------- */

/* False, and counted, if this sequence number has been before. HELLO and the first frames after a restart
 * set the number instead. */
static bool take_sequence(link_t *self, uint8_t type)
{
    const uint16_t sequence = feast_wire_get_u16(&self->frame[FEAST_WIRE_HEADER_AT_SEQUENCE]);
    if (type == FEAST_WIRE_HELLO || self->run == 0u) {
        self->next_in = sequence;
    }
    const uint16_t missing = (uint16_t)(sequence - self->next_in);
    if (missing >= MAX_SEQUENCE_STEP) {
        self->counters[FEAST_WIRE_COUNTER_REPEATED]++;
        return false;
    }
    self->counters[FEAST_WIRE_COUNTER_LOST] += missing;
    self->counters[FEAST_WIRE_COUNTER_FRAMES]++;
    self->next_in = (uint16_t)(sequence + 1u);
    self->damage_reported = false;
    return true;
}

/* Length suits the message: equal to `bytes`, or, with a tail, greater. */
static bool length_suits(uint8_t type, uint32_t length)
{
    switch (type) {
    case FEAST_WIRE_HELLO: return length >= FEAST_WIRE_HELLO_BYTES;
    case FEAST_WIRE_START: return length == FEAST_WIRE_START_BYTES;
    case FEAST_WIRE_EVENTS: return length > FEAST_WIRE_EVENTS_BYTES;
    case FEAST_WIRE_POLL: return length == FEAST_WIRE_POLL_BYTES;
    case FEAST_WIRE_END: return length == FEAST_WIRE_END_BYTES;
    case FEAST_WIRE_SIGNALS: return length == FEAST_WIRE_SIGNALS_BYTES;
    case FEAST_WIRE_READ_STATE: return length == FEAST_WIRE_READ_STATE_BYTES;
    case FEAST_WIRE_WRITE_STATE: return length > FEAST_WIRE_WRITE_STATE_BYTES;
    case FEAST_WIRE_APPLY_STATE: return length == FEAST_WIRE_APPLY_STATE_BYTES;
    case FEAST_WIRE_PERSIST: return length == FEAST_WIRE_PERSIST_BYTES;
    case FEAST_WIRE_COUNTERS_NOW: return length == FEAST_WIRE_COUNTERS_NOW_BYTES;
    case FEAST_WIRE_SCORES: return length == FEAST_WIRE_SCORES_BYTES;
    case FEAST_WIRE_DECIDE: return length == FEAST_WIRE_DECIDE_BYTES;
    default: return true;
    }
}

/* The frame belongs to the run and says how many results the host has. */
static bool take_run(link_t *self)
{
    const uint32_t received = feast_wire_get_u32(&self->frame[FEAST_WIRE_HEADER_AT_RECEIVED]);
    if (self->run == 0u || self->frame[FEAST_WIRE_HEADER_AT_RUN] != self->run) {
        reply_error(self, FEAST_WIRE_ERROR_NO_RUN, self->run);
        return false;
    }
    if (self->uploading) {
        reply_error(self, FEAST_WIRE_ERROR_UPLOAD, 0);
        return false;
    }
    if (received - self->received > (uint32_t)self->events - self->received) {
        reply_error(self, FEAST_WIRE_ERROR_POSITION, received);
        return false;
    }
    self->received = received;
    return true;
}

static void on_frame(link_t *self, uint32_t length)
{
    const uint8_t type = self->frame[FEAST_WIRE_HEADER_AT_TYPE];
    if (!take_sequence(self, type)) {
        return;
    }
    if (!length_suits(type, length)) {
        reply_error(self, FEAST_WIRE_ERROR_MALFORMED, length);
        return;
    }
    switch (type) {
    case FEAST_WIRE_HELLO: on_hello(self); break;
    case FEAST_WIRE_START: on_start(self); break;
    case FEAST_WIRE_EVENTS: if (take_run(self)) { on_events(self, length); } break;
    case FEAST_WIRE_POLL: if (take_run(self)) { on_poll(self); } break;
    case FEAST_WIRE_END: if (take_run(self)) { on_end(self); } break;
    default:
        if (!state_on_frame(self, type, length)) {
            reply_error(self, FEAST_WIRE_ERROR_UNKNOWN, type);
        }
        break;
    }
}

/* Reports only the first of several damaged frames in a row: noise must not be answered byte for byte. */
static void on_damage(link_t *self, uint32_t counter)
{
    self->counters[counter]++;
    if (!self->damage_reported) {
        self->damage_reported = true;
        reply_error(self, FEAST_WIRE_ERROR_DAMAGED, counter);
    }
}

static void on_status(link_t *self, framing_status_t status)
{
    const uint32_t length = self->decoder.frame_length;
    switch (status) {
    case FRAMING_BAD: on_damage(self, FEAST_WIRE_COUNTER_BAD_FRAME); break;
    case FRAMING_BAD_CRC: on_damage(self, FEAST_WIRE_COUNTER_BAD_CRC); break;
    case FRAMING_TOO_LONG: on_damage(self, FEAST_WIRE_COUNTER_TOO_LONG); break;
    case FRAMING_FRAME:
        if (length < FEAST_WIRE_HEADER_BYTES) {
            on_damage(self, FEAST_WIRE_COUNTER_BAD_FRAME);
        } else {
            on_frame(self, length);
        }
        break;
    case FRAMING_MORE:
    default: break;
    }
}

/* --- interface ------------------------------------------------------------------------------- */

/* Ticks between two readings with nothing between them: the least of a few. */
static uint32_t measure_overhead(void)
{
    uint32_t least = PORT_TICK_MASK;
    for (uint32_t i = 0; i < 8u; i++) {
        const uint32_t before = port_ticks();
        const uint32_t ticks = (port_ticks() - before) & PORT_TICK_MASK;
        least = ticks < least ? ticks : least;
    }
    return least;
}

void link_init(link_t *self, feast_t *feast)
{
    (void)memset(self, 0, sizeof *self);
    self->feast = feast;
    framing_init(&self->decoder, self->frame, LINK_FRAME_BYTES);
    feast_init(feast);
    (void)persist_load(feast);
    self->ticks_overhead = measure_overhead();
}

bool link_poll(link_t *self)
{
    uint8_t chunk[CHUNK_BYTES];
    const uint32_t count = port_read(chunk, CHUNK_BYTES);
    for (uint32_t i = 0; i < count; i++) {
        on_status(self, framing_push(&self->decoder, chunk[i]));
    }
    return count > 0u;
}
