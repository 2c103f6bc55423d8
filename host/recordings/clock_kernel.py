"""Which events of a recording are out of order, decided event by event with a bounded look at both sides.

An event that is late (earlier than the latest one kept before it, by more than the tolerance) has one of
three reasons, and the one that leaves out fewest events is taken:

- it is itself out of place: it is left out, and so are those of the next LOOK_AHEAD events that are late too;
- a few events before it are ahead of time: they are left out;
- the clock has started again: nothing is left out, at the price of RESET_COST events. Where the event
  lies before everything since the clock's start and most of what follows is late as well, at RESTART_COST.

So the outcome depends on the events alone, not on how they are cut into chunks.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.jit import jit

LOOK_AHEAD: Final = 128
"""Events after a late one that are looked at, itself included."""
FEW: Final = 9
"""Events after a late one that show whether the times stay there."""
LOOK_BACK: Final = 512
"""Events before a late one that may still be found to be ahead of time."""
RESET_COST, RESTART_COST = 32, 8

UNDECIDED, KEPT, FIRST, OUTSIDE, BEHIND, AHEAD = range(6)
"""Status of an event; FIRST is kept too: the clock starts again there. OUTSIDE is decided beforehand."""
LATEST, FIXED_LATEST, EARLIEST, COUNT, START, RESETS, PROBLEM, PROBLEM_AT = range(8)
"""Indices of the state. Of the events kept since the clock's start: latest time, latest time of those beyond
LOOK_BACK, earliest time, number, index of the first. How often the clock has started again; what stopped it,
and where."""
NOT_BEGUN: Final = (-1, -1, (1 << 63) - 1, 0, 0, 0, 0, 0)
"""The state before the first event."""
_NEVER: Final = 1 << 40

Int64s = npt.NDArray[np.int64]


@jit()
def _leave_behind(times: Int64s, status: npt.NDArray[np.uint8], position: int, state: Int64s) -> None:
    """Note the time of the event that is now too far back to be found ahead of time."""
    old = position - LOOK_BACK - 1
    if old >= max(state[START], 0) and (status[old] == KEPT or status[old] == FIRST):
        state[FIXED_LATEST] = max(state[FIXED_LATEST], times[old])


@jit()
def _middle(times: Int64s, status: npt.NDArray[np.uint8], position: int) -> int:
    """The middle one of the next FEW times."""
    few = np.empty(FEW, np.int64)
    count, index = 0, position
    while count < FEW and index < times.size:
        if status[index] != OUTSIDE:
            few[count] = times[index]
            count += 1
        index += 1
    return int(np.sort(few[:count])[count // 2])


@jit()
def judge(
    times: Int64s,
    status: npt.NDArray[np.uint8],
    position: int,
    end: int,
    state: Int64s,
    tolerance: int,
    stop_at_bad: bool,
    stop_at_reset: bool,
) -> int:
    """Decide about the events from `position` to just before `end`; returns where it stopped.

    `times` (n,) microseconds and `status` (n,) reach LOOK_AHEAD events beyond `end`, unless the recording
    ends with them, and LOOK_BACK events before `position`, unless it begins there. What it stops at is
    named in the state by its status, FIRST for a reset.
    """
    state[PROBLEM] = UNDECIDED
    while position < end:
        _leave_behind(times, status, position, state)
        if status[position] == OUTSIDE:
            if stop_at_bad:
                state[PROBLEM], state[PROBLEM_AT] = OUTSIDE, position
                return position
            position += 1
            continue
        time = times[position]
        if state[COUNT] == 0 or time >= state[LATEST] - tolerance:
            status[position] = KEPT
            if state[COUNT] == 0:
                state[START] = position
                status[position] = FIRST if state[RESETS] else KEPT
            state[LATEST] = max(state[LATEST], time)
            state[EARLIEST] = min(state[EARLIEST], time)
            state[COUNT] += 1
            position += 1
            continue
        ahead, rest, first_ahead = 0, state[FIXED_LATEST], position
        lowest = max(position - LOOK_BACK, max(state[START], 0))
        for index in range(position - 1, lowest - 1, -1):
            if status[index] == KEPT or status[index] == FIRST:
                if times[index] > time + tolerance:
                    ahead += 1
                    first_ahead = index
                else:
                    rest = max(rest, times[index])
        behind = late = lower = seen = 0
        for index in range(position, min(position + LOOK_AHEAD, times.size)):
            if status[index] != OUTSIDE:
                seen += 1
                behind += times[index] < state[LATEST] - tolerance
                late += times[index] < rest - tolerance
                lower += times[index] < time - tolerance
        # Where what follows does not stay behind as the event itself does, that alone is out of place.
        middle = _middle(times, status, position)
        ahead_of_middle = 0
        for index in range(lowest, position):
            if status[index] == KEPT or status[index] == FIRST:
                ahead_of_middle += times[index] > middle + tolerance
        if 8 * ahead_of_middle < ahead:
            behind = min(behind, 1 + ahead_of_middle)
        if_ahead = ahead + late
        if state[FIXED_LATEST] > time + tolerance:  # those are decided
            if_ahead = _NEVER
        is_early = state[EARLIEST] > time + tolerance or 4 * ahead >= 3 * state[COUNT]
        is_restart = is_early and 2 * behind > min(seen, state[COUNT])
        if_reset = lower + (RESTART_COST if is_restart else RESET_COST)
        # A recording that ends soon after a jump ahead of all its time has no more to say against the jump.
        span = rest - state[EARLIEST]
        is_jump = span >= 0 and state[LATEST] - time > span and 2 * behind > seen
        ends = position + LOOK_AHEAD > times.size
        if behind <= min(if_ahead, if_reset) and not (ends and is_jump and if_ahead <= RESTART_COST):
            if stop_at_bad:
                state[PROBLEM], state[PROBLEM_AT] = BEHIND, position
                return position
            status[position] = BEHIND
            position += 1
        elif if_ahead <= max(if_reset, RESTART_COST):
            if stop_at_bad:
                state[PROBLEM], state[PROBLEM_AT] = AHEAD, first_ahead
                return position
            for index in range(first_ahead, position):
                kept = status[index] == KEPT or status[index] == FIRST
                if kept and times[index] > time + tolerance:
                    status[index] = AHEAD
                    state[COUNT] -= 1
            state[LATEST] = rest
            if state[COUNT] == 0:
                state[EARLIEST] = time
        else:
            if stop_at_reset:
                state[PROBLEM], state[PROBLEM_AT] = FIRST, position
                return position
            status[position] = FIRST
            state[LATEST] = state[EARLIEST] = time
            state[FIXED_LATEST], state[COUNT], state[START] = -1, 1, position
            state[RESETS] += 1
            position += 1
    _leave_behind(times, status, position, state)
    return position
