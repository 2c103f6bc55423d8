/* FEAST link protocol, version 5: message ids and byte offsets.
 * Rendered from codegen/protocol/messages.py, which the host uses too, by
 * `python -m feast_codegen.host.boards.platformio_files`; docs/reference/protocol.md explains it.
 * Little-endian, packed without gaps. A frame is header, fields, tail, CRC-32; COBS; one zero byte. */
#ifndef FEAST_WIRE_H
#define FEAST_WIRE_H

#include <stdint.h>

/* Version and limits. */
#define FEAST_WIRE_VERSION 5u /* raised by any change of a layout or a meaning */
#define FEAST_WIRE_CRC_BYTES 4u /* CRC-32 as in zlib, at the end of every frame */
#define FEAST_WIRE_NARROW_FEATURES 250 /* features: up to here a result is one byte */
#define FEAST_WIRE_NO_LABEL 0xFFFFu /* in place of a class: none */
#define FEAST_WIRE_NARROW_SIDE 256 /* sensor side: up to here a coordinate is one byte */

/* Header of every frame. */
#define FEAST_WIRE_HEADER_AT_TYPE 0u /* u8: message id */
#define FEAST_WIRE_HEADER_AT_RUN 1u /* u8: run the frame belongs to, 1 to 255; 0 while there is none */
#define FEAST_WIRE_HEADER_AT_SEQUENCE 2u /* u16: number of this transmission, counting up each way, never used again */
#define FEAST_WIRE_HEADER_AT_RECEIVED 4u /* u32: how far the sender has the other's stream: events accepted, results received */
#define FEAST_WIRE_HEADER_BYTES 8u

/* HELLO, sent by the host. Who are you? Restarts the sequence numbers of both directions. Layout frozen for
 * all versions. */
#define FEAST_WIRE_HELLO 0x01u
#define FEAST_WIRE_HELLO_AT_NONCE 8u /* u32: comes back in the reply, which proves that it is no old one */
#define FEAST_WIRE_HELLO_AT_VERSION 12u /* u16: protocol version of the host */
#define FEAST_WIRE_HELLO_BYTES 14u

/* START, sent by the host. Begins the run named in the header; answered by CREDIT. Said again, changes
 * nothing. */
#define FEAST_WIRE_START 0x02u
#define FEAST_WIRE_START_AT_FLAGS 8u /* u8: START_LEARNING, START_INITIALISE */
#define FEAST_WIRE_START_BYTES 9u

/* EVENTS, sent by the host. Events in order; answered by RESULTS, by ERROR if it is not the next batch. Then
 * events: varint(step_us << 1 | polarity), x, y; one byte a coordinate, two with WIDE_COORDINATES. */
#define FEAST_WIRE_EVENTS 0x03u
#define FEAST_WIRE_EVENTS_AT_FIRST 8u /* u32: index of its first event in the run, modulo 2^32 */
#define FEAST_WIRE_EVENTS_AT_BASE_US 12u /* u64: time the first step counts from, microseconds */
#define FEAST_WIRE_EVENTS_BYTES 20u /* before the tail */

/* POLL, sent by the host. Where are we? Answered by CREDIT, then by all results from `received` on, again. */
#define FEAST_WIRE_POLL 0x04u
#define FEAST_WIRE_POLL_BYTES 8u

/* END, sent by the host. All events are out and all results are in; answered by DONE, each time it is said. */
#define FEAST_WIRE_END 0x05u
#define FEAST_WIRE_END_AT_EVENTS 8u /* u32: events of the run, modulo 2^32 */
#define FEAST_WIRE_END_BYTES 12u

/* SIGNALS, sent by the host. Requests counters and thresholds. Answered by SIGNALS_REPLY, in as many messages
 * as needed. */
#define FEAST_WIRE_SIGNALS 0x06u
#define FEAST_WIRE_SIGNALS_AT_FIRST 8u /* u16: feature to begin with */
#define FEAST_WIRE_SIGNALS_BYTES 10u

/* READ_STATE, sent by the host. Requests words of the state. Answered by STATE, in as many messages as needed. */
#define FEAST_WIRE_READ_STATE 0x07u
#define FEAST_WIRE_READ_STATE_AT_FIRST 8u /* u32: index of the first word; the first state_words are the learned state */
#define FEAST_WIRE_READ_STATE_AT_COUNT 12u /* u32: words; first + count at most snapshot_words */
#define FEAST_WIRE_READ_STATE_BYTES 16u

/* WRITE_STATE, sent by the host. Part of a learned state to go on from, between runs; answered by CREDIT.
 * APPLY_STATE must follow the last one. Then words: of 16 bits. */
#define FEAST_WIRE_WRITE_STATE 0x08u
#define FEAST_WIRE_WRITE_STATE_AT_FIRST 8u /* u32: index of the first word; all words lie below state_words */
#define FEAST_WIRE_WRITE_STATE_BYTES 12u /* before the tail */

/* APPLY_STATE, sent by the host. The learned state is complete: continue from it. Answered by STATE_ID. A
 * repetition changes nothing. */
#define FEAST_WIRE_APPLY_STATE 0x09u
#define FEAST_WIRE_APPLY_STATE_AT_STATE_ID 8u /* u32: CRC-32 of the learned state that was sent */
#define FEAST_WIRE_APPLY_STATE_BYTES 12u

/* PERSIST, sent by the host. Persists the learned state over a loss of power. Answered by STATE_ID. A
 * repetition changes nothing. */
#define FEAST_WIRE_PERSIST 0x0Au
#define FEAST_WIRE_PERSIST_BYTES 8u

/* COUNTERS_NOW, sent by the host. Requests the counters of the run. Answered by COUNTERS_REPLY. */
#define FEAST_WIRE_COUNTERS_NOW 0x0Bu
#define FEAST_WIRE_COUNTERS_NOW_BYTES 8u

/* SCORES, sent by the host. Requests the class scores. Answered by SCORES_REPLY, in as many messages as
 * needed. */
#define FEAST_WIRE_SCORES 0x0Cu
#define FEAST_WIRE_SCORES_AT_FIRST 8u /* u16: class to begin with */
#define FEAST_WIRE_SCORES_BYTES 10u

/* DECIDE, sent by the host. Requests the decision of a fading readout. Answered by DECISION. */
#define FEAST_WIRE_DECIDE 0x0Du
#define FEAST_WIRE_DECIDE_BYTES 8u

/* HELLO_REPLY, sent by the device. Identity and limits. `nonce` and `version` are frozen for all versions. */
#define FEAST_WIRE_HELLO_REPLY 0x81u
#define FEAST_WIRE_HELLO_REPLY_AT_NONCE 8u /* u32: that of the HELLO it answers */
#define FEAST_WIRE_HELLO_REPLY_AT_VERSION 12u /* u16: protocol version of the device */
#define FEAST_WIRE_HELLO_REPLY_AT_FLAGS 14u /* u16: the FLAGs below */
#define FEAST_WIRE_HELLO_REPLY_AT_BUILD_ID 16u /* id8: geometry, options, formats, protocol */
#define FEAST_WIRE_HELLO_REPLY_AT_MODEL_ID 24u /* id8: first 8 bytes of the id of the model in flash: weights and all else */
#define FEAST_WIRE_HELLO_REPLY_AT_STATE_ID 32u /* u32: CRC-32 of the learned state it holds now */
#define FEAST_WIRE_HELLO_REPLY_AT_STATE_WORDS 36u /* u32: 16-bit words of the learned state */
#define FEAST_WIRE_HELLO_REPLY_AT_SNAPSHOT_WORDS 40u /* u32: 16-bit words of the whole state */
#define FEAST_WIRE_HELLO_REPLY_AT_WIDTH 44u /* u16: sensor of the network, pixels */
#define FEAST_WIRE_HELLO_REPLY_AT_HEIGHT 46u /* u16: sensor of the network, pixels */
#define FEAST_WIRE_HELLO_REPLY_AT_FEATURES_PER_BANK 48u /* u16: features per bank */
#define FEAST_WIRE_HELLO_REPLY_AT_RADIUS 50u /* u8: of the patch */
#define FEAST_WIRE_HELLO_REPLY_AT_BANKS 51u /* u8: 1, or 2 with separate polarities */
#define FEAST_WIRE_HELLO_REPLY_AT_CLASSES 52u /* u16: classes of its readout; 0: it was built without */
#define FEAST_WIRE_HELLO_REPLY_AT_RX_BYTES 54u /* u32: receive buffer: bytes the host may have in flight */
#define FEAST_WIRE_HELLO_REPLY_AT_FRAME_BYTES 58u /* u16: longest frame it takes: header to CRC, before COBS */
#define FEAST_WIRE_HELLO_REPLY_AT_RESULTS_PER_FRAME 60u /* u16: most results in one RESULTS */
#define FEAST_WIRE_HELLO_REPLY_AT_RESULT_WINDOW 62u /* u32: results it keeps to send again */
#define FEAST_WIRE_HELLO_REPLY_AT_CLOCK_HZ 66u /* u32: core clock */
#define FEAST_WIRE_HELLO_REPLY_AT_TICK_HZ 70u /* u32: rate of the tick counter */
#define FEAST_WIRE_HELLO_REPLY_AT_STACK_BYTES 74u /* u32: size of the stack */
#define FEAST_WIRE_HELLO_REPLY_AT_LAST_RUN 78u /* u8: the run it is in or was last in; a new one must differ */
#define FEAST_WIRE_HELLO_REPLY_AT_FAULT_KIND 79u /* u8: why it last restarted itself; 0: it did not */
#define FEAST_WIRE_HELLO_REPLY_AT_FAULT_WHERE 80u /* u32: program counter or source line of that fault */
#define FEAST_WIRE_HELLO_REPLY_AT_FAULT_STATUS 84u /* u32: fault status of the core */
#define FEAST_WIRE_HELLO_REPLY_AT_CAMERA_WIDTH 88u /* u16: what events are given in, pixels; without filters that of the network */
#define FEAST_WIRE_HELLO_REPLY_AT_CAMERA_HEIGHT 90u /* u16: what events are given in, pixels */
#define FEAST_WIRE_HELLO_REPLY_AT_DOWNSAMPLE 92u /* u8: a pixel of the network is 2^downsample of the camera wide and high */
#define FEAST_WIRE_HELLO_REPLY_BYTES 93u

/* CREDIT, sent by the device. Frames up to `ack` have left the receive buffer. */
#define FEAST_WIRE_CREDIT 0x82u
#define FEAST_WIRE_CREDIT_AT_ACK 8u /* u16: sequence number of the last intact frame from the host */
#define FEAST_WIRE_CREDIT_BYTES 10u

/* RESULTS, sent by the device. Results in event order, and credit. Then results: one byte each, two (signed)
 * with WIDE_RESULTS. */
#define FEAST_WIRE_RESULTS 0x83u
#define FEAST_WIRE_RESULTS_AT_ACK 8u /* u16: sequence number of the last intact frame from the host */
#define FEAST_WIRE_RESULTS_AT_FIRST 10u /* u32: index of its first result in the run, modulo 2^32 */
#define FEAST_WIRE_RESULTS_BYTES 14u /* before the tail */

/* DONE, sent by the device. What the run came to. */
#define FEAST_WIRE_DONE 0x85u
#define FEAST_WIRE_DONE_AT_ACK 8u /* u16: sequence number of the last intact frame from the host */
#define FEAST_WIRE_DONE_AT_EVENTS 10u /* u64: events processed */
#define FEAST_WIRE_DONE_AT_RESULT_DIGEST 18u /* u32: CRC-32 of all results as 16-bit words */
#define FEAST_WIRE_DONE_AT_SNAPSHOT_DIGEST 22u /* u32: CRC-32 of the whole state after the run */
#define FEAST_WIRE_DONE_AT_STATE_ID 26u /* u32: CRC-32 of the learned state after the run */
#define FEAST_WIRE_DONE_AT_LABEL 30u /* u16: class with the largest score, or NO_LABEL */
#define FEAST_WIRE_DONE_AT_ABSTAINS 32u /* u8: 1: the decision of a fading readout abstains, as UNKNOWN; else 0 */
#define FEAST_WIRE_DONE_AT_TICKS_TOTAL 33u /* u64: ticks spent in feast_step */
#define FEAST_WIRE_DONE_AT_TICKS_MAX 41u /* u32: most ticks of one call */
#define FEAST_WIRE_DONE_AT_STACK_USED 45u /* u32: deepest stack use since reset, bytes */
#define FEAST_WIRE_DONE_AT_FRAMES 49u /* u32: intact frames taken from the host */
#define FEAST_WIRE_DONE_AT_BAD_FRAME 53u /* u32: frames dropped: not COBS, or shorter than a header */
#define FEAST_WIRE_DONE_AT_BAD_CRC 57u /* u32: frames dropped: checksum */
#define FEAST_WIRE_DONE_AT_TOO_LONG 61u /* u32: frames dropped: longer than frame_bytes */
#define FEAST_WIRE_DONE_AT_LOST 65u /* u32: sequence numbers that never came */
#define FEAST_WIRE_DONE_AT_REPEATED 69u /* u32: frames dropped: sequence number already seen */
#define FEAST_WIRE_DONE_AT_OUT_OF_ORDER 73u /* u32: EVENTS dropped: not the next event */
#define FEAST_WIRE_DONE_AT_RX_OVERRUNS 77u /* u32: bytes lost before they could be read */
#define FEAST_WIRE_DONE_AT_TX_DROPPED 81u /* u32: bytes the serial port would not take */
#define FEAST_WIRE_DONE_AT_RESENT 85u /* u32: results sent more than once */
#define FEAST_WIRE_DONE_BYTES 89u

/* SIGNALS_REPLY, sent by the device. Counters since feast_init, modulo 2^32, and some of the features.
 * `received` tells at which event. Then features: threshold (i32, Q30) and wins (u32, modulo 2^32) of each. */
#define FEAST_WIRE_SIGNALS_REPLY 0x86u
#define FEAST_WIRE_SIGNALS_REPLY_AT_ACK 8u /* u16: sequence number of the last intact frame from the host */
#define FEAST_WIRE_SIGNALS_REPLY_AT_FIRST 10u /* u16: its first feature */
#define FEAST_WIRE_SIGNALS_REPLY_AT_HITS 12u /* u32: events that a feature won */
#define FEAST_WIRE_SIGNALS_REPLY_AT_MISSES 16u /* u32: events that none was in range of */
#define FEAST_WIRE_SIGNALS_REPLY_AT_BORDER 20u /* u32: events without a full patch */
#define FEAST_WIRE_SIGNALS_REPLY_AT_OUTSIDE 24u /* u32: events off the camera */
#define FEAST_WIRE_SIGNALS_REPLY_AT_BACKWARDS 28u /* u32: events out of order */
#define FEAST_WIRE_SIGNALS_REPLY_AT_WINDOW_EVENTS 32u /* u16: compared events in the present window of 1024 */
#define FEAST_WIRE_SIGNALS_REPLY_AT_WINDOW_MISSES 34u /* u16: missed events among them */
#define FEAST_WIRE_SIGNALS_REPLY_AT_LAST_WINDOW_MISSES 36u /* u16: missed events in the last full window */
#define FEAST_WIRE_SIGNALS_REPLY_AT_FILTERED 38u /* u32: events the filters left out; 0 where there are none */
#define FEAST_WIRE_SIGNALS_REPLY_BYTES 42u /* before the tail */

/* STATE, sent by the device. Words of the state (docs/reference/numerics.md section 8). `received` tells at
 * which event. Then words: of 16 bits. */
#define FEAST_WIRE_STATE 0x87u
#define FEAST_WIRE_STATE_AT_ACK 8u /* u16: sequence number of the last intact frame from the host */
#define FEAST_WIRE_STATE_AT_FIRST 10u /* u32: index of its first word */
#define FEAST_WIRE_STATE_BYTES 14u /* before the tail */

/* STATE_ID, sent by the device. What the device has learned, by name. */
#define FEAST_WIRE_STATE_ID 0x89u
#define FEAST_WIRE_STATE_ID_AT_ACK 8u /* u16: sequence number of the last intact frame from the host */
#define FEAST_WIRE_STATE_ID_AT_STATE_ID 10u /* u32: CRC-32 of the learned state it holds now */
#define FEAST_WIRE_STATE_ID_AT_PERSISTED 14u /* u32: how often a state was persisted; 0: none is */
#define FEAST_WIRE_STATE_ID_BYTES 18u

/* COUNTERS_REPLY, sent by the device. What the run has come to so far; fields as in DONE. */
#define FEAST_WIRE_COUNTERS_REPLY 0x8Bu
#define FEAST_WIRE_COUNTERS_REPLY_AT_ACK 8u /* u16: sequence number of the last intact frame from the host */
#define FEAST_WIRE_COUNTERS_REPLY_AT_TICKS_TOTAL 10u /* u64: ticks spent in feast_step */
#define FEAST_WIRE_COUNTERS_REPLY_AT_TICKS_MAX 18u /* u32: most ticks of one call */
#define FEAST_WIRE_COUNTERS_REPLY_AT_STACK_USED 22u /* u32: deepest stack use since reset, bytes */
#define FEAST_WIRE_COUNTERS_REPLY_AT_FRAMES 26u /* u32: intact frames taken from the host */
#define FEAST_WIRE_COUNTERS_REPLY_AT_BAD_FRAME 30u /* u32: frames dropped: not COBS, or shorter than a header */
#define FEAST_WIRE_COUNTERS_REPLY_AT_BAD_CRC 34u /* u32: frames dropped: checksum */
#define FEAST_WIRE_COUNTERS_REPLY_AT_TOO_LONG 38u /* u32: frames dropped: longer than frame_bytes */
#define FEAST_WIRE_COUNTERS_REPLY_AT_LOST 42u /* u32: sequence numbers that never came */
#define FEAST_WIRE_COUNTERS_REPLY_AT_REPEATED 46u /* u32: frames dropped: sequence number already seen */
#define FEAST_WIRE_COUNTERS_REPLY_AT_OUT_OF_ORDER 50u /* u32: EVENTS dropped: not the next event */
#define FEAST_WIRE_COUNTERS_REPLY_AT_RX_OVERRUNS 54u /* u32: bytes lost before they could be read */
#define FEAST_WIRE_COUNTERS_REPLY_AT_TX_DROPPED 58u /* u32: bytes the serial port would not take */
#define FEAST_WIRE_COUNTERS_REPLY_AT_RESENT 62u /* u32: results sent more than once */
#define FEAST_WIRE_COUNTERS_REPLY_BYTES 66u

/* SCORES_REPLY, sent by the device. Scores of some of the classes since the run began. `received` tells at
 * which event. Then scores: i64 of each class. */
#define FEAST_WIRE_SCORES_REPLY 0x8Cu
#define FEAST_WIRE_SCORES_REPLY_AT_ACK 8u /* u16: sequence number of the last intact frame from the host */
#define FEAST_WIRE_SCORES_REPLY_AT_FIRST 10u /* u16: its first class */
#define FEAST_WIRE_SCORES_REPLY_AT_LABEL 12u /* u16: class with the largest score of all, or NO_LABEL */
#define FEAST_WIRE_SCORES_REPLY_BYTES 14u /* before the tail */

/* DECISION, sent by the device. What a fading readout makes of the events so far (docs/reference/numerics.md
 * section 15). `received` tells at which event. */
#define FEAST_WIRE_DECISION 0x8Du
#define FEAST_WIRE_DECISION_AT_ACK 8u /* u16: sequence number of the last intact frame from the host */
#define FEAST_WIRE_DECISION_AT_LABEL 10u /* u16: class with the largest score, or NO_LABEL */
#define FEAST_WIRE_DECISION_AT_MARGIN 12u /* u32: how far it is ahead of the next one */
#define FEAST_WIRE_DECISION_AT_TYPICALITY 16u /* u16: cosine with the nearest class mean, Q15 */
#define FEAST_WIRE_DECISION_AT_ABSTAINS 18u /* u8: 1: show it as UNKNOWN */
#define FEAST_WIRE_DECISION_AT_TICKS 19u /* u32: ticks spent in feast_classify */
#define FEAST_WIRE_DECISION_BYTES 23u

/* ERROR, sent by the device. A frame was not accepted. */
#define FEAST_WIRE_ERROR 0xFFu
#define FEAST_WIRE_ERROR_AT_ACK 8u /* u16: sequence number of the last intact frame from the host */
#define FEAST_WIRE_ERROR_AT_CODE 10u /* u8: see the error codes */
#define FEAST_WIRE_ERROR_AT_DETAIL 11u /* u32: depends on the code */
#define FEAST_WIRE_ERROR_BYTES 15u

/* Flags of HELLO_REPLY and START. */
#define FEAST_WIRE_FLAG_LEARNING 1u /* built with learning */
#define FEAST_WIRE_FLAG_THRESHOLD 2u /* frozen features must be in range of their threshold */
#define FEAST_WIRE_FLAG_WIDE_RESULTS 4u /* a result is two bytes */
#define FEAST_WIRE_FLAG_WIDE_COORDINATES 8u /* a coordinate is two bytes */
#define FEAST_WIRE_FLAG_CLOCK_FALLBACK 16u /* runs on its reset clock, for the fast one failed */
#define FEAST_WIRE_FLAG_PERSISTS 32u /* has memory to persist a learned state */
#define FEAST_WIRE_FLAG_UPLOADING 64u /* holds part of an upload: state_id is of no use */
#define FEAST_WIRE_FLAG_FADES 128u /* its readout fades: answers DECIDE, not SCORES */
#define FEAST_WIRE_START_LEARNING 1u /* learn during this run; needs a build with learning */
#define FEAST_WIRE_START_INITIALISE 2u /* back to the model's weights and thresholds first (feast_init); else feast_reset */

/* Error codes. Below 16: a loss, the host repeats. Others end the run. */
#define FEAST_WIRE_ERROR_DAMAGED 1u /* a frame came damaged; detail: index of its counter */
#define FEAST_WIRE_ERROR_OUT_OF_ORDER 2u /* EVENTS is not the next batch; detail: its `first` */
#define FEAST_WIRE_ERROR_NO_RUN 16u /* no such run: the device has restarted; detail: run it is in */
#define FEAST_WIRE_ERROR_VERSION 17u /* HELLO named another protocol version; detail: the device's */
#define FEAST_WIRE_ERROR_UNKNOWN 18u /* unknown message; detail: its id */
#define FEAST_WIRE_ERROR_MALFORMED 19u /* contents do not suit the message; detail: its bytes */
#define FEAST_WIRE_ERROR_UNSUPPORTED 20u /* not in this build; detail: id of the message */
#define FEAST_WIRE_ERROR_WINDOW 21u /* result_window would overflow; detail: events in the frame */
#define FEAST_WIRE_ERROR_POSITION 22u /* `received` or `events` cannot be; detail: that number */
#define FEAST_WIRE_ERROR_UPLOAD 23u /* an upload was not finished: only its rest or START_INITIALISE can follow; detail: 0 */
#define FEAST_WIRE_ERROR_STATE 24u /* the uploaded state was not accepted; detail: state_id of what it holds now */
#define FEAST_WIRE_ERROR_PERSIST 25u /* the memory did not take the state; detail: times persisted */

/* Counters of a run, u32 each, in the order in which DONE carries them. */
#define FEAST_WIRE_COUNTER_FRAMES 0u /* intact frames taken from the host */
#define FEAST_WIRE_COUNTER_BAD_FRAME 1u /* frames dropped: not COBS, or shorter than a header */
#define FEAST_WIRE_COUNTER_BAD_CRC 2u /* frames dropped: checksum */
#define FEAST_WIRE_COUNTER_TOO_LONG 3u /* frames dropped: longer than frame_bytes */
#define FEAST_WIRE_COUNTER_LOST 4u /* sequence numbers that never came */
#define FEAST_WIRE_COUNTER_REPEATED 5u /* frames dropped: sequence number already seen */
#define FEAST_WIRE_COUNTER_OUT_OF_ORDER 6u /* EVENTS dropped: not the next event */
#define FEAST_WIRE_COUNTER_RX_OVERRUNS 7u /* bytes lost before they could be read */
#define FEAST_WIRE_COUNTER_TX_DROPPED 8u /* bytes the serial port would not take */
#define FEAST_WIRE_COUNTER_RESENT 9u /* results sent more than once */
#define FEAST_WIRE_COUNTERS 10u

static inline void feast_wire_put_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static inline void feast_wire_put_u32(uint8_t *at, uint32_t value)
{
    feast_wire_put_u16(at, (uint16_t)value);
    feast_wire_put_u16(at + 2, (uint16_t)(value >> 16));
}

static inline void feast_wire_put_u64(uint8_t *at, uint64_t value)
{
    feast_wire_put_u32(at, (uint32_t)value);
    feast_wire_put_u32(at + 4, (uint32_t)(value >> 32));
}

static inline uint16_t feast_wire_get_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] | ((uint16_t)at[1] << 8));
}

static inline uint32_t feast_wire_get_u32(const uint8_t *at)
{
    return feast_wire_get_u16(at) | ((uint32_t)feast_wire_get_u16(at + 2) << 16);
}

static inline uint64_t feast_wire_get_u64(const uint8_t *at)
{
    return feast_wire_get_u32(at) | ((uint64_t)feast_wire_get_u32(at + 4) << 32);
}

#endif
