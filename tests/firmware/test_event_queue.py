"""The queue of a driver: a model of it in Python, and two threads that do not wait for each other."""

from __future__ import annotations

import shutil
import subprocess
from collections import deque
from functools import cache
from pathlib import Path
from typing import Any

import cffi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feast_codegen.codegen.emit.compiled_library import WARNINGS
from feast_codegen.codegen.model.options import Options
from tests.support.networks import make_model
from tests.support.proofs.driver import emitted, write_library
from tests.support.proofs.firmware import RUNTIME
from tests.support.waiting import LIMIT_S

QUEUE = RUNTIME / "driver" / "event_queue.c"
NEWEST, OLDEST = 0, 1

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="cc is not on PATH")


def build(folder: Path, sources: list[Path], output: str, *flags: str, queue: Path = QUEUE) -> Path:
    write_library(emitted(make_model(radius=1, features=2), Options(), "portable"), folder / "library")
    include = [f"-I{folder / 'library' / 'include'}", f"-I{QUEUE.parent}"]
    command = ["cc", *WARNINGS, "-O2", *flags, *include, "-o", str(folder / output), str(queue)]
    subprocess.run([*command, *map(str, sources)], check=True, timeout=LIMIT_S)
    return folder / output


@pytest.fixture(scope="module", autouse=True)
def library(tmp_path_factory: pytest.TempPathFactory) -> None:
    loaded(str(tmp_path_factory.mktemp("queue")))


class Loaded:
    ffi: cffi.FFI
    lib: Any


@cache
def loaded(folder: str) -> None:
    Loaded.ffi = cffi.FFI()
    Loaded.ffi.cdef(
        "typedef struct { uint64_t t_us; uint16_t x, y; uint8_t polarity; } feast_event_t;"
        "bool event_queue_init(void *self, feast_event_t *events, uint32_t count, int policy);"
        "bool event_queue_put(void *self, const feast_event_t *event);"
        "bool event_queue_take(void *self, feast_event_t *event);"
        "uint32_t event_queue_dropped(const void *self);"
    )
    path = build(Path(folder), [], "queue.so", "-shared", "-fPIC", "-fsanitize=undefined")
    Loaded.lib = Loaded.ffi.dlopen(str(path))


class Queue:
    """The C queue; its memory is dirty before the start."""

    def __init__(self, count: int, policy: int) -> None:
        self._memory = Loaded.ffi.new("uint64_t[]", [0xA5A5A5A5A5A5A5A5] * 8)
        self._room = Loaded.ffi.new("feast_event_t[]", min(max(1, count), 16))
        self.sound = Loaded.lib.event_queue_init(self._memory, self._room, count, policy)

    def put(self, number: int) -> bool:
        event = Loaded.ffi.new("feast_event_t *", {"t_us": number, "x": number % 2**16})
        return bool(Loaded.lib.event_queue_put(self._memory, event))

    def take(self) -> int | None:
        event = Loaded.ffi.new("feast_event_t *")
        if not Loaded.lib.event_queue_take(self._memory, event):
            return None
        assert event.x == event.t_us % 2**16
        return int(event.t_us)

    @property
    def dropped(self) -> int:
        return int(Loaded.lib.event_queue_dropped(self._memory))


@settings(max_examples=200, deadline=None)
@given(
    count=st.sampled_from([2, 4, 16]),
    policy=st.sampled_from([NEWEST, OLDEST]),
    steps=st.lists(st.integers(-20, 20), max_size=30),
)
def test_any_calls_drop_what_they_should_and_count_it(count: int, policy: int, steps: list[int]) -> None:
    """Positive steps put that many, negative ones take."""
    queue, model = Queue(count, policy), deque[int](maxlen=count - 1 if policy == OLDEST else None)
    put = dropped = 0
    for step in steps:
        for _ in range(step):
            full = len(model) == count - 1
            assert queue.put(put) == (policy == OLDEST or not full)
            dropped += full
            if policy == OLDEST or not full:
                model.append(put)
            put += 1
            assert queue.dropped == dropped
        for _ in range(-step):
            assert queue.take() == (model.popleft() if model else None)
            assert queue.dropped == dropped


@pytest.mark.parametrize("count", [0, 1, 3, 6, 2**32 - 1])
def test_a_size_that_is_no_power_of_two_holds_nothing(count: int) -> None:
    queue = Queue(count, OLDEST)
    assert not queue.sound
    assert not queue.put(1) and queue.take() is None and queue.dropped == 1


STRESS = r"""
#define _POSIX_C_SOURCE 200809L
#include "event_queue.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define PUTS 400000u
static feast_event_t room[8];
static event_queue_t queue;
static atomic_bool done;

static void *camera(void *unused)
{
    for (uint32_t i = 1; i <= PUTS; i++) {
        const feast_event_t event = { i, (uint16_t)i, (uint16_t)~i, (uint8_t)(i >> 3) };
        (void)event_queue_put(&queue, &event);
    }
    atomic_store(&done, true);
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    uint64_t last = 0;
    uint32_t given = 0;
    bool more = true;
    if (argc != 2 || !event_queue_init(&queue, room, 8u, (event_queue_policy_t)atoi(argv[1]))) {
        return 2;
    }
    if (pthread_create(&thread, NULL, camera, NULL) != 0) {
        return 2;
    }
    while (more) {
        feast_event_t event;
        more = !atomic_load(&done);
        while (event_queue_take(&queue, &event)) {
            const uint32_t i = (uint32_t)event.t_us;
            const bool whole = event.x == (uint16_t)i && event.y == (uint16_t)~i;
            if (event.t_us <= last || !whole || event.polarity != (uint8_t)(i >> 3)) {
                printf("event %u after %u is torn or out of order\n", i, (uint32_t)last);
                return 1;
            }
            last = event.t_us;
            given++;
        }
    }
    pthread_join(thread, NULL);
    printf("%u %u\n", given, event_queue_dropped(&queue));
    return given + event_queue_dropped(&queue) == PUTS ? 0 : 1;
}
"""


@pytest.mark.parametrize("policy", [NEWEST, OLDEST], ids=["newest", "oldest"])
def test_two_threads_lose_nothing_without_counting_it(policy: int, tmp_path: Path) -> None:
    (tmp_path / "stress.c").write_text(STRESS)
    program = build(tmp_path, [tmp_path / "stress.c"], "stress", "-pthread")
    done = subprocess.run(
        [program, str(policy)], capture_output=True, text=True, check=False, timeout=LIMIT_S
    )
    assert done.returncode == 0, done.stdout


def test_an_interrupt_in_the_middle_of_a_copy_is_noticed(tmp_path: Path) -> None:
    """The interrupt comes in each gap of a take, as a macro in place of the barrier: never a torn event."""
    text = QUEUE.read_text(encoding="utf-8")
    fence = "    __atomic_thread_fence(__ATOMIC_SEQ_CST);\n"
    assert text.count(fence) == 1
    (tmp_path / "queue.c").write_text(
        text.replace(fence, f"{fence}    interrupt();\n").replace(
            "static inline void barrier", "void interrupt(void);\nstatic inline void barrier"
        )
    )
    (tmp_path / "main.c").write_text(
        r"""
#include "event_queue.h"
#include <stdio.h>
void interrupt(void);
static feast_event_t room[4];
static event_queue_t queue;
static uint32_t number, each, left;
static bool putting;

void interrupt(void)
{
    if (putting || left == 0u) {
        return;
    }
    left--;
    putting = true;
    for (uint32_t i = 0; i < each; i++) {
        number++;
        const feast_event_t event = { number, (uint16_t)number, 0, 0 };
        (void)event_queue_put(&queue, &event);
    }
    putting = false;
}

int main(void)
{
    for (each = 0; each < 9u; each++) {
        uint64_t last = 0;
        uint32_t given = 0;
        number = 0;
        if (!event_queue_init(&queue, room, 4u, EVENT_QUEUE_DROP_OLDEST)) {
            return 2;
        }
        for (uint32_t round = 0; round < 50u; round++) {
            feast_event_t event;
            left = 3;
            interrupt();
            if (event_queue_take(&queue, &event)) {
                const bool whole = event.x == (uint16_t)event.t_us;
                if (event.t_us <= last || !whole || number - event.t_us >= 4u + each) {
                    printf("%u puts: %u after %u\n", each, (unsigned)event.t_us, (unsigned)last);
                    return 1;
                }
                last = event.t_us;
                given++;
            }
        }
        left = 0;
        for (feast_event_t event; event_queue_take(&queue, &event); given++) { }
        if (given + event_queue_dropped(&queue) != number) {
            printf("%u puts: %u given, %u dropped of %u\n", each, given, event_queue_dropped(&queue), number);
            return 1;
        }
    }
    return 0;
}
"""
    )
    program = build(tmp_path, [tmp_path / "main.c"], "main", queue=tmp_path / "queue.c")
    done = subprocess.run([program], capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.returncode == 0, done.stdout
