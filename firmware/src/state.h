/* The learned state over the link: signals, reading, writing, keeping. Part of link.c. */
#ifndef FEAST_STATE_H
#define FEAST_STATE_H

#include "link.h"

/* CRC-32 of the first `words` words of the network's state. */
uint32_t state_digest(const feast_t *feast, uint32_t words);

/* Deals with the message in `self->frame`, of `length` bytes, if it is about the state; else returns false. */
bool state_on_frame(link_t *self, uint8_t type, uint32_t length);

#endif
