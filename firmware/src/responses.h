/* What the device sends: each function fills in one kind of message and sends it. Part of link.c. */
#ifndef FEAST_REPLY_H
#define FEAST_REPLY_H

#include "link.h"

/* Sends the message of `length` bytes that was put in `self->out`, header and ack filled in. */
void reply_acked(link_t *self, uint8_t type, uint32_t length);

/* Puts the counters of the run into `self->out`, the first of them at `at`. */
void reply_put_counters(link_t *self, uint32_t at);

/* What the readout says, as messages have it. */
typedef struct {
    uint32_t margin; /* this and typicality: 0 unless the readout fades */
    uint16_t label; /* FEAST_WIRE_NO_LABEL without a class */
    uint16_t typicality;
    uint8_t abstains;
} reply_answer_t;

/* Asks the readout; no label where the library has none. */
reply_answer_t reply_answer(const feast_t *feast);

/* Who this is, in answer to the HELLO in `self->frame`. */
void reply_hello(link_t *self);

/* Everything up to the last intact frame has been dealt with. */
void reply_credit(link_t *self);

/* A frame was not accepted; `code` is one of FEAST_WIRE_ERROR_*. */
void reply_error(link_t *self, uint8_t code, uint32_t detail);

/* The results that were not sent yet, in as many frames as it takes. */
void reply_results(link_t *self);

/* What the run came to. Reads the whole state of the network. */
void reply_done(link_t *self);

#endif
