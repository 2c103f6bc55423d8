/* The device side of the link: takes event frames, runs the network, returns result frames.
 *
 * Hardware-free: everything goes through port.h, so the same code runs behind a socket on a PC. It only
 * ever answers; the host asks again for all that is lost on the line. Protocol: docs/reference/protocol.md. */
#ifndef FEAST_LINK_H
#define FEAST_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "feast.h"
#include "feast_wire.h"
#include "framing.h"

/* Sizes, all of them here; a board may set them with -D. */
#ifndef LINK_FRAME_BYTES
#define LINK_FRAME_BYTES 256u /* longest frame taken: header to CRC, before COBS */
#endif
#ifndef LINK_RESULT_WINDOW
#define LINK_RESULT_WINDOW 128u /* results kept to be sent again; a power of two */
#endif
#ifndef LINK_RESULTS_PER_FRAME
#define LINK_RESULTS_PER_FRAME 64u /* most results in one frame */
#endif

#ifdef FEAST_CLASSES
#define LINK_CLASSES FEAST_CLASSES
#define LINK_FADES FEAST_FADES
#else
#define LINK_CLASSES 0u /* the library has no readout */
#define LINK_FADES 0
#endif

/* Results of few features need one byte: the codes -1 .. -5 are 255 .. 251. */
#if FEAST_FEATURES <= FEAST_WIRE_NARROW_FEATURES
typedef uint8_t link_result_t;
#define LINK_RESULT_BYTES 1u
#else
typedef uint16_t link_result_t;
#define LINK_RESULT_BYTES 2u
#endif

/* The longest frame sent: RESULTS or HELLO_REPLY. */
#define LINK_RESULTS_BYTES (FEAST_WIRE_RESULTS_BYTES + LINK_RESULTS_PER_FRAME * LINK_RESULT_BYTES)
#if LINK_RESULTS_PER_FRAME * LINK_RESULT_BYTES > FEAST_WIRE_HELLO_REPLY_BYTES - FEAST_WIRE_RESULTS_BYTES
#define LINK_SEND_BYTES (LINK_RESULTS_BYTES + FEAST_WIRE_CRC_BYTES)
#else
#define LINK_SEND_BYTES (FEAST_WIRE_HELLO_REPLY_BYTES + FEAST_WIRE_CRC_BYTES)
#endif

/* Plain memory, the caller's; valid after link_init; treat the members as private. */
typedef struct {
    feast_t *feast;
    uint64_t ticks_total;
    uint64_t events;         /* processed in this run */
    framing_decoder_t decoder;
    uint32_t received;       /* results the host has; the window runs from here to `events` (modulo 2^32) */
    uint32_t sent;           /* results sent */
    uint32_t result_digest;
    uint32_t ticks_max;
    uint32_t ticks_overhead; /* of the measurement itself */
    uint32_t counters[FEAST_WIRE_COUNTERS];
    uint32_t rx_overruns_before; /* what the port had counted when the run began */
    uint32_t tx_dropped_before;
    uint16_t next_in;        /* sequence number expected next from the host */
    uint16_t next_out;       /* sequence number of the next frame sent */
    uint8_t run;             /* 0: none yet */
    bool version_agreed;
    bool damage_reported;    /* since the last intact frame */
    bool uploading;          /* words of a learned state have come, but not all: no event may meet them */
    link_result_t results[LINK_RESULT_WINDOW];
    uint8_t frame[LINK_FRAME_BYTES];
    uint8_t out[LINK_SEND_BYTES];
} link_t;

/* Initialises the network too, with the state that was kept, if one was. */
void link_init(link_t *self, feast_t *feast);

/* Deals with what has arrived, frame by frame, and answers it. False if nothing had arrived. The longest
 * call is one frame of events: at most LINK_FRAME_BYTES / 3 times feast_step. */
bool link_poll(link_t *self);

#endif
