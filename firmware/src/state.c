#include "state.h"

#include "framing.h"
#include "port.h"
#include "responses.h"
#include "persist.h"

#define BODY_BYTES (LINK_SEND_BYTES - FEAST_WIRE_CRC_BYTES)
#define FEATURE_BYTES 8u
#define FEATURES_PER_FRAME ((BODY_BYTES - FEAST_WIRE_SIGNALS_REPLY_BYTES) / FEATURE_BYTES)
#define SCORE_BYTES 8u
#define SCORES_PER_FRAME ((BODY_BYTES - FEAST_WIRE_SCORES_REPLY_BYTES) / SCORE_BYTES)
#define WORD_BYTES 2u
#define WORDS_PER_FRAME ((BODY_BYTES - FEAST_WIRE_STATE_BYTES) / WORD_BYTES)
_Static_assert(FEATURES_PER_FRAME > 0u, "a frame of signals has room for a feature");
_Static_assert(SCORES_PER_FRAME > 0u, "a frame of scores has room for a class");
_Static_assert(FEAST_WIRE_COUNTERS_REPLY_BYTES <= BODY_BYTES, "the counters fit a frame");

uint32_t state_digest(const feast_t *feast, uint32_t words)
{
    uint32_t digest = 0;
    for (uint32_t i = 0; i < words; i++) {
        uint8_t word[2];
        feast_wire_put_u16(word, feast_snapshot_word(feast, i));
        digest = framing_crc32(digest, word, sizeof word);
    }
    return digest;
}

/* --- what it says ---------------------------------------------------------------------------- */

static void reply_signals(link_t *self, uint32_t first)
{
    uint8_t *out = self->out;
    feast_signals_t signals;
    feast_signals(self->feast, &signals);
    feast_wire_put_u32(&out[FEAST_WIRE_SIGNALS_REPLY_AT_HITS], signals.hits);
    feast_wire_put_u32(&out[FEAST_WIRE_SIGNALS_REPLY_AT_MISSES], signals.misses);
    feast_wire_put_u32(&out[FEAST_WIRE_SIGNALS_REPLY_AT_BORDER], signals.border);
    feast_wire_put_u32(&out[FEAST_WIRE_SIGNALS_REPLY_AT_OUTSIDE], signals.outside);
    feast_wire_put_u32(&out[FEAST_WIRE_SIGNALS_REPLY_AT_BACKWARDS], signals.backwards);
    feast_wire_put_u16(&out[FEAST_WIRE_SIGNALS_REPLY_AT_WINDOW_EVENTS], signals.window_events);
    feast_wire_put_u16(&out[FEAST_WIRE_SIGNALS_REPLY_AT_WINDOW_MISSES], signals.window_misses);
    feast_wire_put_u16(&out[FEAST_WIRE_SIGNALS_REPLY_AT_LAST_WINDOW_MISSES], signals.last_window_misses);
    feast_wire_put_u32(&out[FEAST_WIRE_SIGNALS_REPLY_AT_FILTERED], signals.filtered);
    while (first < FEAST_FEATURES) {
        const uint32_t left = FEAST_FEATURES - first;
        const uint32_t count = left < FEATURES_PER_FRAME ? left : FEATURES_PER_FRAME;
        uint8_t *at = &out[FEAST_WIRE_SIGNALS_REPLY_BYTES];
        feast_wire_put_u16(&out[FEAST_WIRE_SIGNALS_REPLY_AT_FIRST], (uint16_t)first);
        for (uint32_t i = 0; i < count; i++) {
            feast_wire_put_u32(at, (uint32_t)feast_threshold(self->feast, first + i));
            feast_wire_put_u32(at + 4, feast_wins(self->feast, first + i));
            at += FEATURE_BYTES;
        }
        first += count;
        reply_acked(self, FEAST_WIRE_SIGNALS_REPLY, FEAST_WIRE_SIGNALS_REPLY_BYTES + count * FEATURE_BYTES);
    }
}

#if LINK_FADES
static void reply_decision(link_t *self)
{
    uint8_t *out = self->out;
    const uint32_t before = port_ticks();
    const reply_answer_t answer = reply_answer(self->feast);
    const uint32_t ticks = (port_ticks() - before) & PORT_TICK_MASK;
    feast_wire_put_u16(&out[FEAST_WIRE_DECISION_AT_LABEL], answer.label);
    feast_wire_put_u32(&out[FEAST_WIRE_DECISION_AT_MARGIN], answer.margin);
    feast_wire_put_u16(&out[FEAST_WIRE_DECISION_AT_TYPICALITY], answer.typicality);
    out[FEAST_WIRE_DECISION_AT_ABSTAINS] = answer.abstains;
    feast_wire_put_u32(&out[FEAST_WIRE_DECISION_AT_TICKS], ticks);
    reply_acked(self, FEAST_WIRE_DECISION, FEAST_WIRE_DECISION_BYTES);
}
#elif defined(FEAST_CLASSES)
static void reply_scores(link_t *self, uint32_t first)
{
    uint8_t *out = self->out;
    feast_wire_put_u16(&out[FEAST_WIRE_SCORES_REPLY_AT_LABEL], reply_answer(self->feast).label);
    while (first < FEAST_CLASSES) {
        const uint32_t left = FEAST_CLASSES - first;
        const uint32_t count = left < SCORES_PER_FRAME ? left : SCORES_PER_FRAME;
        uint8_t *at = &out[FEAST_WIRE_SCORES_REPLY_BYTES];
        feast_wire_put_u16(&out[FEAST_WIRE_SCORES_REPLY_AT_FIRST], (uint16_t)first);
        for (uint32_t i = 0; i < count; i++) {
            feast_wire_put_u64(at, (uint64_t)feast_score(self->feast, first + i));
            at += SCORE_BYTES;
        }
        first += count;
        reply_acked(self, FEAST_WIRE_SCORES_REPLY, FEAST_WIRE_SCORES_REPLY_BYTES + count * SCORE_BYTES);
    }
}
#endif

static void reply_words(link_t *self, uint32_t first, uint32_t left)
{
    while (left > 0u) {
        const uint32_t count = left < WORDS_PER_FRAME ? left : WORDS_PER_FRAME;
        uint8_t *at = &self->out[FEAST_WIRE_STATE_BYTES];
        feast_wire_put_u32(&self->out[FEAST_WIRE_STATE_AT_FIRST], first);
        for (uint32_t i = 0; i < count; i++) {
            feast_wire_put_u16(at, feast_snapshot_word(self->feast, first + i));
            at += WORD_BYTES;
        }
        first += count;
        left -= count;
        reply_acked(self, FEAST_WIRE_STATE, FEAST_WIRE_STATE_BYTES + count * WORD_BYTES);
    }
}

static void reply_state_id(link_t *self)
{
    feast_wire_put_u32(&self->out[FEAST_WIRE_STATE_ID_AT_STATE_ID], state_digest(self->feast, FEAST_STATE_WORDS));
    feast_wire_put_u32(&self->out[FEAST_WIRE_STATE_ID_AT_PERSISTED], persist_times());
    reply_acked(self, FEAST_WIRE_STATE_ID, FEAST_WIRE_STATE_ID_BYTES);
}

static void reply_counters(link_t *self)
{
    feast_wire_put_u64(&self->out[FEAST_WIRE_COUNTERS_REPLY_AT_TICKS_TOTAL], self->ticks_total);
    feast_wire_put_u32(&self->out[FEAST_WIRE_COUNTERS_REPLY_AT_TICKS_MAX], self->ticks_max);
    feast_wire_put_u32(&self->out[FEAST_WIRE_COUNTERS_REPLY_AT_STACK_USED], port_stack_used());
    reply_put_counters(self, FEAST_WIRE_COUNTERS_REPLY_AT_FRAMES);
    reply_acked(self, FEAST_WIRE_COUNTERS_REPLY, FEAST_WIRE_COUNTERS_REPLY_BYTES);
}

/* --- what it does ---------------------------------------------------------------------------- */

static void on_read(link_t *self, uint32_t length)
{
    const uint32_t first = feast_wire_get_u32(&self->frame[FEAST_WIRE_READ_STATE_AT_FIRST]);
    const uint32_t count = feast_wire_get_u32(&self->frame[FEAST_WIRE_READ_STATE_AT_COUNT]);
    if (first > FEAST_SNAPSHOT_WORDS || count > FEAST_SNAPSHOT_WORDS - first) {
        reply_error(self, FEAST_WIRE_ERROR_MALFORMED, length);
    } else {
        reply_words(self, first, count);
    }
}

#if FEAST_LEARNING
/* Until APPLY_STATE the network holds words of two states: no event may meet it. */
static void on_write(link_t *self, uint32_t length)
{
    uint32_t index = feast_wire_get_u32(&self->frame[FEAST_WIRE_WRITE_STATE_AT_FIRST]);
    const uint32_t bytes = length - FEAST_WIRE_WRITE_STATE_BYTES;
    if (bytes % 2u != 0u || index > FEAST_STATE_WORDS || bytes / 2u > FEAST_STATE_WORDS - index) {
        reply_error(self, FEAST_WIRE_ERROR_MALFORMED, length);
        return;
    }
    self->uploading = true;
    for (uint32_t at = FEAST_WIRE_WRITE_STATE_BYTES; at < length; at += 2u) {
        feast_import_word(self->feast, index, feast_wire_get_u16(&self->frame[at]));
        index++;
    }
    reply_credit(self);
}

static void on_apply_state(link_t *self)
{
    const uint32_t state_id = feast_wire_get_u32(&self->frame[FEAST_WIRE_APPLY_STATE_AT_STATE_ID]);
    if (state_digest(self->feast, FEAST_STATE_WORDS) == state_id) {
        if (self->uploading) {
            (void)feast_import_finish(self->feast); /* puts the model's own state back if it is not sound */
        }
        self->uploading = false;
    }
    const uint32_t held = state_digest(self->feast, FEAST_STATE_WORDS);
    if (self->uploading || held != state_id) {
        reply_error(self, FEAST_WIRE_ERROR_STATE, held);
    } else {
        reply_state_id(self);
    }
}
#endif

static void on_persist(link_t *self)
{
    if (self->uploading) {
        reply_error(self, FEAST_WIRE_ERROR_UPLOAD, 0);
    } else if (!LINK_PERSISTS) {
        reply_error(self, FEAST_WIRE_ERROR_UNSUPPORTED, FEAST_WIRE_PERSIST);
    } else if (!persist_save(self->feast)) {
        reply_error(self, FEAST_WIRE_ERROR_PERSIST, persist_times());
    } else {
        reply_state_id(self);
    }
}

bool state_on_frame(link_t *self, uint8_t type, uint32_t length)
{
    if (type < FEAST_WIRE_SIGNALS || type > FEAST_WIRE_DECIDE) {
        return false;
    }
    if (!self->version_agreed) {
        reply_error(self, FEAST_WIRE_ERROR_VERSION, FEAST_WIRE_VERSION);
        return true;
    }
    switch (type) {
    case FEAST_WIRE_SIGNALS:
        reply_signals(self, feast_wire_get_u16(&self->frame[FEAST_WIRE_SIGNALS_AT_FIRST]));
        break;
    case FEAST_WIRE_READ_STATE: on_read(self, length); break;
    case FEAST_WIRE_PERSIST: on_persist(self); break;
    case FEAST_WIRE_COUNTERS_NOW: reply_counters(self); break;
#if LINK_FADES
    case FEAST_WIRE_DECIDE: reply_decision(self); break;
#elif defined(FEAST_CLASSES)
    case FEAST_WIRE_SCORES:
        reply_scores(self, feast_wire_get_u16(&self->frame[FEAST_WIRE_SCORES_AT_FIRST]));
        break;
#endif
#if FEAST_LEARNING
    case FEAST_WIRE_WRITE_STATE: on_write(self, length); break;
    case FEAST_WIRE_APPLY_STATE: on_apply_state(self); break;
#endif
    default: reply_error(self, FEAST_WIRE_ERROR_UNSUPPORTED, type); break;
    }
    return true;
}
