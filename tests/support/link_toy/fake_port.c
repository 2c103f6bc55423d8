/* port.h without hardware: bytes in memory, scripted ticks. One device a process image. */
#include <string.h>

#include "event_decoder.h"
#include "link.h"
#include "port.h"

#ifndef FAKE_RX_BYTES
#define FAKE_RX_BYTES 512u
#endif
#define FAKE_SENT_BYTES (1u << 20)
#define TICKS_OF_READING 3u /* ticks that a look at the counter takes */
#define FIRST_TICK 0xFFFFF0u

const uint32_t port_rx_capacity = FAKE_RX_BYTES;

static uint8_t received[FAKE_RX_BYTES];
static uint32_t received_count;
static uint32_t overruns;
static uint8_t sent[FAKE_SENT_BYTES];
static uint32_t sent_count;
static uint32_t ticks;
static uint32_t readings;
static bool running;
static feast_t feast;
static link_t link;

/* --- what tests call --- */

/* Power on: everything in the receive ring is gone. */
void fake_boot(void)
{
    received_count = 0;
    sent_count = 0;
    overruns = 0;
    ticks = FIRST_TICK;
    readings = 0;
    running = false;
    link_init(&link, &feast);
    readings = 0;
    running = true;
}

/* Bytes from the host; those beyond the ring are lost. */
void fake_receive(const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (received_count < FAKE_RX_BYTES) {
            received[received_count++] = bytes[i];
        } else {
            overruns++;
        }
    }
}

void fake_run(void)
{
    while (link_poll(&link)) {
    }
}

/* Takes what the device has sent. */
uint32_t fake_take(uint8_t *bytes)
{
    const uint32_t count = sent_count;
    memcpy(bytes, sent, count);
    sent_count = 0;
    return count;
}

uint32_t fake_link_bytes(void)
{
    return (uint32_t)sizeof link;
}

/* Encodes one frame into what fake_take returns. */
void fake_encode(const uint8_t *body, uint32_t length)
{
    static uint8_t frame[1024 + FRAMING_CRC_BYTES];
    memcpy(frame, body, length);
    framing_send(frame, length, port_write);
}

static framing_decoder_t decoder;
static uint8_t decoded[1024];

void fake_decoder(uint32_t capacity)
{
    framing_init(&decoder, decoded, capacity);
}

/* The status of a frame that ends with this byte; after FRAMING_FRAME the body is in `body`. */
int fake_push(uint8_t byte, uint8_t *body, uint32_t *length)
{
    const framing_status_t status = framing_push(&decoder, byte);
    *length = decoder.frame_length;
    memcpy(body, decoded, sizeof decoded);
    return (int)status;
}

/* Unpacks a batch of events: true if it is well-formed and holds `count` of them. */
bool fake_unpack(const uint8_t *bytes, uint32_t size, uint64_t base_us, feast_event_t *events, uint32_t *count)
{
    batch_t batch = batch_open(bytes, size, base_us);
    if (!batch_count(batch, count)) {
        return false;
    }
    while (batch_next(&batch)) {
        *events++ = batch.event;
    }
    return true;
}

/* --- port.h --- */

void port_init(void)
{
}

uint32_t port_read(uint8_t *bytes, uint32_t capacity)
{
    const uint32_t count = capacity < received_count ? capacity : received_count;
    memcpy(bytes, received, count);
    received_count -= count;
    memmove(received, &received[count], received_count);
    return count;
}

uint32_t port_rx_overruns(void)
{
    return overruns;
}

void port_write(const uint8_t *bytes, uint32_t count)
{
    if (sent_count + count <= FAKE_SENT_BYTES) {
        memcpy(&sent[sent_count], bytes, count);
        sent_count += count;
    }
}

uint32_t port_tx_dropped(void)
{
    return 0;
}

void port_idle(void)
{
}

/* The n-th pair of readings while running is 100 + n % 7 ticks apart, besides what reading takes. */
uint32_t port_ticks(void)
{
    ticks += TICKS_OF_READING;
    if (running && readings++ % 2u == 1u) {
        ticks += 100u + (readings / 2u - 1u) % 7u;
    }
    return ticks & PORT_TICK_MASK;
}

uint32_t port_tick_hz(void)
{
    return 1000000u;
}

uint32_t port_clock_hz(void)
{
    return 2000000u;
}

bool port_clock_fallback(void)
{
    return false;
}

uint32_t port_stack_used(void)
{
    return 123u;
}

uint32_t port_stack_bytes(void)
{
    return 1024u;
}

port_fault_t port_last_fault(void)
{
    const port_fault_t fault = {PORT_FAULT_ASSERT, 77u, 5u};
    return fault;
}
