/* The device's whole end of the link over the emitted library: any bytes from the host, intact frames with any
 * content among them. What must hold after each frame is in `after_frame`.
 * Input: pieces, each a byte of kind, a length, and so many bytes:
 *   kind % 4: 0 bytes as they are; 1 a frame of them, as they are; 2, 3 a frame with the sequence number, run and
 *   position that the device expects, ADOPT the state it holds; kind & 4: one bit of the frame flipped on the line; kind & 8: power lost and back. */
#include "flash.h"

#include "feast_wire.h"
#include "framing.h"
#include "link.h"
#include "port.h"
#include "state.h"

const uint32_t port_rx_capacity = 512u;

static feast_t *feast;
static link_t *self;

/* --- the line --- */

static const uint8_t *waiting;
static size_t waiting_count;
static uint8_t sent[1u << 16];
static size_t sent_count;
static uint32_t ticks;

uint32_t port_read(uint8_t *bytes, uint32_t capacity)
{
    const size_t count = capacity < waiting_count ? capacity : waiting_count;
    memcpy(bytes, waiting, count);
    waiting += count;
    waiting_count -= count;
    return (uint32_t)count;
}

void port_write(const uint8_t *bytes, uint32_t count)
{
    CHECK(sent_count + count <= sizeof sent);
    memcpy(&sent[sent_count], bytes, count);
    sent_count += count;
}

void port_init(void) {}
void port_idle(void) {}
uint32_t port_rx_overruns(void) { return 0; }
uint32_t port_tx_dropped(void) { return 0; }
uint32_t port_ticks(void) { return (ticks += 77u) & PORT_TICK_MASK; }
uint32_t port_tick_hz(void) { return 1000000u; }
uint32_t port_clock_hz(void) { return 2000000u; }
bool port_clock_fallback(void) { return false; }
uint32_t port_stack_used(void) { return 100u; }
uint32_t port_stack_bytes(void) { return 1000u; }
port_fault_t port_last_fault(void) { return (port_fault_t){0}; }

/* --- what must hold --- */

typedef struct {
    uint64_t events;
    uint32_t received;
    uint32_t frames; /* intact ones, counted as new or as repeated */
    uint32_t damaged;
    uint16_t next_in;
    uint8_t run;
    bool uploading;
    uint32_t state; /* a digest of the whole network */
} moment_t;

static moment_t now(void)
{
    const uint32_t *counters = self->counters;
    uint8_t words[2u * FEAST_SNAPSHOT_WORDS];
    for (uint32_t i = 0; i < FEAST_SNAPSHOT_WORDS; i++) {
        const uint16_t word = feast_snapshot_word(feast, i);
        words[2u * i] = (uint8_t)word;
        words[2u * i + 1u] = (uint8_t)(word >> 8);
    }
    const moment_t moment = {
        .events = self->events,
        .received = self->received,
        .frames = counters[FEAST_WIRE_COUNTER_FRAMES] + counters[FEAST_WIRE_COUNTER_REPEATED],
        .damaged = counters[FEAST_WIRE_COUNTER_BAD_FRAME] + counters[FEAST_WIRE_COUNTER_BAD_CRC]
                   + counters[FEAST_WIRE_COUNTER_TOO_LONG],
        .next_in = self->next_in,
        .run = self->run,
        .uploading = self->uploading,
        .state = framing_crc32(0, words, sizeof words),
    };
    return moment;
}

/* Takes what the device has sent apart: intact frames, numbered one after another. Returns how many. */
static uint32_t replies(uint16_t *number)
{
    uint32_t count = 0;
    size_t begin = 0;
    for (size_t at = 0; at < sent_count; at++) {
        uint8_t body[LINK_SEND_BYTES + 8u];
        size_t length = 0;
        if (sent[at] != 0) {
            continue;
        }
        CHECK(at - begin <= LINK_SEND_BYTES + LINK_SEND_BYTES / 254u + 2u);
        CHECK(plain_decode(&sent[begin], at - begin, LINK_SEND_BYTES, body, &length) == PLAIN_FRAME);
        CHECK(length >= FEAST_WIRE_HEADER_BYTES);
        CHECK(feast_wire_get_u16(&body[FEAST_WIRE_HEADER_AT_SEQUENCE]) == (*number)++);
        CHECK(feast_wire_get_u32(&body[FEAST_WIRE_HEADER_AT_RECEIVED]) <= (uint32_t)self->events);
        begin = at + 1u;
        count++;
    }
    CHECK(begin == sent_count);
    sent_count = 0;
    return count;
}

static moment_t last; /* after the frame before this one; between frames nothing changes */

static void after_frame(const moment_t *before, plain_t judged, size_t length, uint32_t answers)
{
    const bool intact = judged == PLAIN_FRAME && length >= FEAST_WIRE_HEADER_BYTES;
    const moment_t after = now();
    last = after;
    const bool began = after.run != before->run || (before->uploading && !after.uploading);

    /* What was damaged is counted, answered at most once, and changes nothing. */
    if (!intact) {
        CHECK(after.damaged == before->damaged + (judged == PLAIN_NOTHING ? 0u : 1u));
        CHECK(after.frames == before->frames && after.events == before->events);
        CHECK(after.received == before->received && after.next_in == before->next_in);
        CHECK(after.run == before->run && after.uploading == before->uploading && after.state == before->state);
        CHECK(answers <= 1u);
        return;
    }
    if (!began) { /* a new run counts from 0 */
        CHECK(after.frames == before->frames + 1u && after.damaged == before->damaged);
        CHECK(after.events >= before->events);
    }
    /* Results the host does not have are still there; none is counted as received that was not computed. */
    CHECK((uint32_t)after.events - after.received <= LINK_RESULT_WINDOW);
    CHECK(self->sent - after.received <= (uint32_t)after.events - after.received);
    CHECK(!(after.uploading && after.events > before->events));
}

/* --- deliveries --- */

static uint8_t line[4096]; /* bytes since the last zero byte */
static size_t line_count;

static void power_on(void)
{
    memset(self, 0xA5, sizeof *self);
    memset(feast, 0xA5, sizeof *feast);
    line_count = 0;
    sent_count = 0;
    link_init(self, feast);
    last = now();
}

static void deliver(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t body[sizeof line + 4u];
        size_t length = 0;
        if (bytes[i] != 0) {
            line[line_count++] = bytes[i];
            CHECK(line_count < sizeof line);
        }
        uint16_t number = self->next_out;
        waiting = &bytes[i];
        waiting_count = 1;
        CHECK(link_poll(self));
        CHECK(!link_poll(self));
        if (bytes[i] != 0) {
            CHECK(sent_count == 0);
            continue;
        }
        const plain_t judged = plain_decode(line, line_count, LINK_FRAME_BYTES, body, &length);
        line_count = 0;
        const uint32_t answers = replies(&number);
        CHECK(number == self->next_out);
        const moment_t before = last;
        after_frame(&before, judged, length, answers);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    input_t input = {bytes, size};
    memset(flash, 0xFF, sizeof flash);
    feast = malloc(sizeof *feast);
    self = malloc(sizeof *self);
    power_on();
    while (input.left > 0) {
        uint8_t body[256];
        uint8_t coded[300];
        const uint8_t kind = take_8(&input);
        const size_t wanted = take_8(&input);
        size_t length = wanted < input.left ? wanted : input.left;
        take_bytes(&input, body, length);
        if ((kind & 8u) != 0u) {
            power_on();
        }
        if (kind % 4u == 0u) {
            deliver(body, length);
            continue;
        }
        if (kind % 4u >= 2u && length >= FEAST_WIRE_HEADER_BYTES) {
            feast_wire_put_u16(&body[FEAST_WIRE_HEADER_AT_SEQUENCE], self->next_in);
            feast_wire_put_u32(&body[FEAST_WIRE_HEADER_AT_RECEIVED],
                               (kind & 16u) != 0u ? (uint32_t)self->events : self->received);
            if (body[FEAST_WIRE_HEADER_AT_TYPE] != FEAST_WIRE_START) {
                body[FEAST_WIRE_HEADER_AT_RUN] = self->run;
            }
            if (body[FEAST_WIRE_HEADER_AT_TYPE] == FEAST_WIRE_EVENTS && length > FEAST_WIRE_EVENTS_BYTES) {
                feast_wire_put_u32(&body[FEAST_WIRE_EVENTS_AT_FIRST], (uint32_t)self->events);
            }
            if (body[FEAST_WIRE_HEADER_AT_TYPE] == FEAST_WIRE_APPLY_STATE && length == FEAST_WIRE_APPLY_STATE_BYTES) {
                feast_wire_put_u32(&body[FEAST_WIRE_APPLY_STATE_AT_STATE_ID], state_digest(feast, FEAST_STATE_WORDS));
            }
            if (body[FEAST_WIRE_HEADER_AT_TYPE] == FEAST_WIRE_HELLO && length >= FEAST_WIRE_HELLO_BYTES) {
                feast_wire_put_u16(&body[FEAST_WIRE_HELLO_AT_VERSION], FEAST_WIRE_VERSION);
            }
        }
        const size_t count = plain_encode(body, length, coded);
        if ((kind & 4u) != 0u) {
            const uint32_t bit = take_16(&input) % (uint32_t)(8u * (count - 1u));
            coded[bit / 8u] ^= (uint8_t)(1u << bit % 8u);
        }
        deliver(coded, count);
    }
    free(self);
    free(feast);
    return 0;
}
