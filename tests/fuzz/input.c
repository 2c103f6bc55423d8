/* Any bytes through the decoders of camera words: as one buffer, and cut as the input says. Events, counters and room
 * must agree, and a network takes what comes. Each buffer is of its exact size on the heap. */
#include "fuzz.h"

#include "feast_input.h"

typedef enum { EVT2, ROWS, EDVS } which_t;

typedef struct {
    which_t which;
    feast_evt2_t evt2;
    feast_rows_t rows;
    feast_edvs_t edvs;
} decoder_t;

static void start(decoder_t *self, which_t which, uint32_t stamp_bytes)
{
    memset(self, 0xA5, sizeof *self);
    self->which = which;
    feast_evt2_init(&self->evt2);
    feast_rows_init(&self->rows);
    CHECK(feast_edvs_init(&self->edvs, stamp_bytes) == (stamp_bytes >= 2u && stamp_bytes <= 4u));
}

/* Appends the events of some bytes to `events`, which holds `before`; gives how many it then holds. */
static uint32_t feed(decoder_t *self, const uint8_t *bytes, uint32_t count, feast_event_t *events, uint32_t before)
{
    const uint32_t room = self->which == EVT2   ? FEAST_EVT2_EVENTS(count)
                          : self->which == ROWS ? FEAST_ROWS_EVENTS(count)
                                                : FEAST_EDVS_EVENTS(count);
    feast_event_t *here = malloc(room * sizeof *here);
    uint8_t *copy = malloc(count > 0u ? count : 1u);
    uint32_t given = 0;
    if (count > 0u) {
        memcpy(copy, bytes, count);
    }
    switch (self->which) {
    case EVT2: given = feast_evt2_decode(&self->evt2, copy, count, here); break;
    case ROWS: given = feast_rows_decode(&self->rows, copy, count, here); break;
    default: given = feast_edvs_decode(&self->edvs, copy, count, here); break;
    }
    CHECK(given <= room);
    if (given > 0u) {
        memcpy(&events[before], here, given * sizeof *here);
    }
    free(copy);
    free(here);
    return before + given;
}

static void same(const feast_event_t *a, const feast_event_t *b)
{
    CHECK(a->t_us == b->t_us && a->x == b->x && a->y == b->y && a->polarity == b->polarity);
    CHECK(a->polarity <= 1u);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static feast_t network;
    input_t input = { bytes, size };
    decoder_t whole;
    decoder_t cut;
    const uint8_t kind = take_8(&input);
    const uint32_t step = 1u + take_8(&input) % 16u;
    const uint32_t count = (uint32_t)input.left;
    const uint32_t most = count / 4u + 1u;
    feast_event_t *a = malloc(most * sizeof *a);
    feast_event_t *b = malloc(most * sizeof *b);
    int16_t *results = malloc(most * sizeof *results);
    start(&whole, (which_t)(kind % 3u), kind / 3u % 8u);
    start(&cut, (which_t)(kind % 3u), kind / 3u % 8u);
    const uint32_t given = feed(&whole, input.at, count, a, 0u);
    uint32_t in_pieces = 0;
    for (uint32_t at = 0, piece = step; at < count; at += piece, piece = piece % 7u + step) {
        piece = piece < count - at ? piece : count - at;
        in_pieces = feed(&cut, &input.at[at], piece, b, in_pieces);
    }
    CHECK(in_pieces == given && given <= most);
    for (uint32_t i = 0; i < given; i++) {
        same(&a[i], &b[i]);
    }
    CHECK(whole.evt2.malformed == cut.evt2.malformed && whole.evt2.untimed == cut.evt2.untimed);
    CHECK(whole.rows.malformed == cut.rows.malformed && whole.edvs.malformed == cut.edvs.malformed);
    feast_init(&network);
    feast_step_many(&network, a, given, results);
    for (uint32_t i = 0; i < given; i++) {
        CHECK(results[i] < (int16_t)FEAST_FEATURES && results[i] >= FEAST_FILTERED);
    }
    free(results);
    free(b);
    free(a);
    return 0;
}
