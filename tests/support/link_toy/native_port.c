/* port.h on a POSIX machine: the firmware as a process whose serial port is standard input and output. Where
 * standard input is a listening socket, the first connection to it. Ends when the other side goes away. */
#define _POSIX_C_SOURCE 200809L
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "port.h"

#ifndef NATIVE_RX_BYTES
#define NATIVE_RX_BYTES 65536u
#endif
#define OUT_BYTES 65536u
#define WRITE_LIMIT_MS 1000
#define NS_PER_TICK 16u

const uint32_t port_rx_capacity = NATIVE_RX_BYTES;

static int in_fd = STDIN_FILENO;
static int out_fd = STDOUT_FILENO;
static uint8_t in[NATIVE_RX_BYTES];
static uint32_t in_count;
static uint32_t in_taken;
static uint8_t out[OUT_BYTES];
static uint32_t out_count;
static uint32_t dropped;

static bool wait_for(int fd, short events, int limit_ms)
{
    struct pollfd wanted = {.fd = fd, .events = events};
    return poll(&wanted, 1, limit_ms) > 0;
}

static void flush(void)
{
    uint32_t done = 0;
    while (done < out_count) {
        const ssize_t count = wait_for(out_fd, POLLOUT, WRITE_LIMIT_MS) ? write(out_fd, &out[done], out_count - done) : 0;
        if (count < 0) {
            exit(0);
        }
        if (count == 0) {
            dropped += out_count - done;
            break;
        }
        done += (uint32_t)count;
    }
    out_count = 0;
}

void port_init(void)
{
    const int accepted = accept(STDIN_FILENO, NULL, NULL);
    if (accepted >= 0) {
        in_fd = accepted;
        out_fd = accepted;
    }
}

uint32_t port_read(uint8_t *bytes, uint32_t capacity)
{
    if (in_taken == in_count) {
        flush();
        in_taken = 0;
        in_count = 0;
        if (!wait_for(in_fd, POLLIN, 0)) {
            return 0;
        }
        const ssize_t count = read(in_fd, in, sizeof in);
        if (count <= 0) {
            exit(0);
        }
        in_count = (uint32_t)count;
    }
    const uint32_t left = in_count - in_taken;
    const uint32_t count = capacity < left ? capacity : left;
    memcpy(bytes, &in[in_taken], count);
    in_taken += count;
    return count;
}

uint32_t port_rx_overruns(void)
{
    return 0;
}

void port_write(const uint8_t *bytes, uint32_t count)
{
    if (out_count + count > OUT_BYTES) {
        flush();
    }
    memcpy(&out[out_count], bytes, count);
    out_count += count;
}

uint32_t port_tx_dropped(void)
{
    return dropped;
}

void port_idle(void)
{
    flush();
    wait_for(in_fd, POLLIN, 1000);
}

void port_watchdog(void)
{
}

uint32_t port_ticks(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const uint64_t ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    return (uint32_t)(ns / NS_PER_TICK) & PORT_TICK_MASK;
}

uint32_t port_tick_hz(void)
{
    return 1000000000u / NS_PER_TICK;
}

uint32_t port_clock_hz(void)
{
    return port_tick_hz();
}

bool port_clock_fallback(void)
{
    return false;
}

uint32_t port_stack_used(void)
{
    return 0;
}

uint32_t port_stack_bytes(void)
{
    return 0;
}

port_fault_t port_last_fault(void)
{
    const port_fault_t fault = {PORT_FAULT_NONE, 0u, 0u};
    return fault;
}
