#include "responses.h"

#include "event_decoder.h"
#include "port.h"
#include "state.h"
#include "persist.h"

#define HELLO_FLAGS                                                                                    \
    ((FEAST_LEARNING ? FEAST_WIRE_FLAG_LEARNING : 0u) |                                                \
     (FEAST_SELECT_THRESHOLD ? FEAST_WIRE_FLAG_THRESHOLD : 0u) |                                       \
     (LINK_RESULT_BYTES == 2u ? FEAST_WIRE_FLAG_WIDE_RESULTS : 0u) |                                   \
     (BATCH_COORDINATE_BYTES == 2u ? FEAST_WIRE_FLAG_WIDE_COORDINATES : 0u) |                         \
     (LINK_PERSISTS ? FEAST_WIRE_FLAG_PERSISTS : 0u) |                                                 \
     (LINK_FADES ? FEAST_WIRE_FLAG_FADES : 0u))
/* Every message but HELLO_REPLY has it at the same place. */
#define AT_ACK FEAST_WIRE_HEADER_BYTES

static void send(link_t *self, uint8_t type, uint32_t length)
{
    self->out[FEAST_WIRE_HEADER_AT_TYPE] = type;
    self->out[FEAST_WIRE_HEADER_AT_RUN] = self->run;
    feast_wire_put_u16(&self->out[FEAST_WIRE_HEADER_AT_SEQUENCE], self->next_out);
    self->next_out++;
    feast_wire_put_u32(&self->out[FEAST_WIRE_HEADER_AT_RECEIVED], (uint32_t)self->events);
    framing_send(self->out, length, port_write);
}

void reply_acked(link_t *self, uint8_t type, uint32_t length)
{
    feast_wire_put_u16(&self->out[AT_ACK], (uint16_t)(self->next_in - 1u));
    send(self, type, length);
}

void reply_put_counters(link_t *self, uint32_t at)
{
    self->counters[FEAST_WIRE_COUNTER_RX_OVERRUNS] = port_rx_overruns() - self->rx_overruns_before;
    self->counters[FEAST_WIRE_COUNTER_TX_DROPPED] = port_tx_dropped() - self->tx_dropped_before;
    for (uint32_t i = 0; i < FEAST_WIRE_COUNTERS; i++) {
        feast_wire_put_u32(&self->out[at + 4u * i], self->counters[i]);
    }
}

/* cppcheck-suppress misra-c2012-8.7 ; with a readout state.c asks for it too */
reply_answer_t reply_answer(const feast_t *feast)
{
    reply_answer_t answer = { 0u, FEAST_WIRE_NO_LABEL, 0u, 0u };
#if LINK_FADES
    feast_decision_t decision;
    feast_classify(feast, &decision);
    if (decision.label >= 0) {
        answer.label = (uint16_t)decision.label;
    }
    answer.margin = decision.margin;
    answer.typicality = decision.typicality;
    answer.abstains = decision.abstains ? 1u : 0u;
#elif defined(FEAST_CLASSES)
    const int32_t label = feast_class(feast);
    if (label >= 0) {
        answer.label = (uint16_t)label;
    }
#else
    (void)feast;
#endif
    return answer;
}

void reply_credit(link_t *self)
{
    reply_acked(self, FEAST_WIRE_CREDIT, FEAST_WIRE_CREDIT_BYTES);
}

void reply_error(link_t *self, uint8_t code, uint32_t detail)
{
    self->out[FEAST_WIRE_ERROR_AT_CODE] = code;
    feast_wire_put_u32(&self->out[FEAST_WIRE_ERROR_AT_DETAIL], detail);
    reply_acked(self, FEAST_WIRE_ERROR, FEAST_WIRE_ERROR_BYTES);
}

void reply_results(link_t *self)
{
    uint32_t left = (uint32_t)self->events - self->sent;
    while (left > 0u) {
        const uint32_t count = left < LINK_RESULTS_PER_FRAME ? left : LINK_RESULTS_PER_FRAME;
        uint8_t *at = &self->out[FEAST_WIRE_RESULTS_BYTES];
        feast_wire_put_u32(&self->out[FEAST_WIRE_RESULTS_AT_FIRST], self->sent);
        for (uint32_t i = 0; i < count; i++) {
            const link_result_t result = self->results[(self->sent + i) % LINK_RESULT_WINDOW];
#if LINK_RESULT_BYTES == 1u
            at[0] = result;
#else
            feast_wire_put_u16(at, result);
#endif
            at += LINK_RESULT_BYTES;
        }
        self->sent += count;
        left -= count;
        reply_acked(self, FEAST_WIRE_RESULTS, FEAST_WIRE_RESULTS_BYTES + count * LINK_RESULT_BYTES);
    }
}

void reply_hello(link_t *self)
{
    static const uint8_t build_id[] = FEAST_BUILD_ID_BYTES;
    static const uint8_t model_id[sizeof build_id] = FEAST_MODEL_ID_BYTES;
    const port_fault_t fault = port_last_fault();
    uint8_t *out = self->out;
    feast_wire_put_u32(&out[FEAST_WIRE_HELLO_REPLY_AT_NONCE],
                       feast_wire_get_u32(&self->frame[FEAST_WIRE_HELLO_AT_NONCE]));
    feast_wire_put_u16(&out[FEAST_WIRE_HELLO_REPLY_AT_VERSION], FEAST_WIRE_VERSION);
    feast_wire_put_u16(&out[FEAST_WIRE_HELLO_REPLY_AT_FLAGS],
                       HELLO_FLAGS | (port_clock_fallback() ? FEAST_WIRE_FLAG_CLOCK_FALLBACK : 0u)
                           | (self->uploading ? FEAST_WIRE_FLAG_UPLOADING : 0u));
    for (uint32_t i = 0; i < sizeof build_id; i++) {
        out[FEAST_WIRE_HELLO_REPLY_AT_BUILD_ID + i] = build_id[i];
        out[FEAST_WIRE_HELLO_REPLY_AT_MODEL_ID + i] = model_id[i];
    }
    feast_wire_put_u32(&out[FEAST_WIRE_HELLO_REPLY_AT_STATE_ID], state_digest(self->feast, FEAST_STATE_WORDS));
    feast_wire_put_u32(&out[FEAST_WIRE_HELLO_REPLY_AT_STATE_WORDS], FEAST_STATE_WORDS);
    feast_wire_put_u32(&out[FEAST_WIRE_HELLO_REPLY_AT_SNAPSHOT_WORDS], FEAST_SNAPSHOT_WORDS);
    feast_wire_put_u16(&out[FEAST_WIRE_HELLO_REPLY_AT_WIDTH], FEAST_SENSOR_WIDTH);
    feast_wire_put_u16(&out[FEAST_WIRE_HELLO_REPLY_AT_HEIGHT], FEAST_SENSOR_HEIGHT);
    feast_wire_put_u16(&out[FEAST_WIRE_HELLO_REPLY_AT_FEATURES_PER_BANK], FEAST_FEATURES_PER_BANK);
    out[FEAST_WIRE_HELLO_REPLY_AT_RADIUS] = FEAST_RADIUS;
    out[FEAST_WIRE_HELLO_REPLY_AT_BANKS] = FEAST_BANKS;
    feast_wire_put_u16(&out[FEAST_WIRE_HELLO_REPLY_AT_CLASSES], LINK_CLASSES);
    feast_wire_put_u32(&out[FEAST_WIRE_HELLO_REPLY_AT_RX_BYTES], port_rx_capacity);
    feast_wire_put_u16(&out[FEAST_WIRE_HELLO_REPLY_AT_FRAME_BYTES], LINK_FRAME_BYTES);
    feast_wire_put_u16(&out[FEAST_WIRE_HELLO_REPLY_AT_RESULTS_PER_FRAME], LINK_RESULTS_PER_FRAME);
    feast_wire_put_u32(&out[FEAST_WIRE_HELLO_REPLY_AT_RESULT_WINDOW], LINK_RESULT_WINDOW);
    feast_wire_put_u32(&out[FEAST_WIRE_HELLO_REPLY_AT_CLOCK_HZ], port_clock_hz());
    feast_wire_put_u32(&out[FEAST_WIRE_HELLO_REPLY_AT_TICK_HZ], port_tick_hz());
    feast_wire_put_u32(&out[FEAST_WIRE_HELLO_REPLY_AT_STACK_BYTES], port_stack_bytes());
    out[FEAST_WIRE_HELLO_REPLY_AT_LAST_RUN] = self->run;
    out[FEAST_WIRE_HELLO_REPLY_AT_FAULT_KIND] = (uint8_t)fault.kind;
    feast_wire_put_u32(&out[FEAST_WIRE_HELLO_REPLY_AT_FAULT_WHERE], fault.where);
    feast_wire_put_u32(&out[FEAST_WIRE_HELLO_REPLY_AT_FAULT_STATUS], fault.status);
    feast_wire_put_u16(&out[FEAST_WIRE_HELLO_REPLY_AT_CAMERA_WIDTH], BATCH_CAMERA_WIDTH);
    feast_wire_put_u16(&out[FEAST_WIRE_HELLO_REPLY_AT_CAMERA_HEIGHT], BATCH_CAMERA_HEIGHT);
    out[FEAST_WIRE_HELLO_REPLY_AT_DOWNSAMPLE] = BATCH_DOWNSAMPLE;
    send(self, FEAST_WIRE_HELLO_REPLY, FEAST_WIRE_HELLO_REPLY_BYTES);
}

void reply_done(link_t *self)
{
    const reply_answer_t answer = reply_answer(self->feast);
    uint8_t *out = self->out;
    feast_wire_put_u64(&out[FEAST_WIRE_DONE_AT_EVENTS], self->events);
    feast_wire_put_u32(&out[FEAST_WIRE_DONE_AT_RESULT_DIGEST], self->result_digest);
    feast_wire_put_u32(&out[FEAST_WIRE_DONE_AT_SNAPSHOT_DIGEST], state_digest(self->feast, FEAST_SNAPSHOT_WORDS));
    feast_wire_put_u32(&out[FEAST_WIRE_DONE_AT_STATE_ID], state_digest(self->feast, FEAST_STATE_WORDS));
    feast_wire_put_u16(&out[FEAST_WIRE_DONE_AT_LABEL], answer.label);
    out[FEAST_WIRE_DONE_AT_ABSTAINS] = answer.abstains;
    feast_wire_put_u64(&out[FEAST_WIRE_DONE_AT_TICKS_TOTAL], self->ticks_total);
    feast_wire_put_u32(&out[FEAST_WIRE_DONE_AT_TICKS_MAX], self->ticks_max);
    feast_wire_put_u32(&out[FEAST_WIRE_DONE_AT_STACK_USED], port_stack_used());
    reply_put_counters(self, FEAST_WIRE_DONE_AT_FRAMES);
    reply_acked(self, FEAST_WIRE_DONE, FEAST_WIRE_DONE_BYTES);
}
