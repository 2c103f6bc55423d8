"""Which surface representation should the integer models use? Agreement with the float64 winners.

    python -m experiments.surface_representation [MODEL] [RECORDINGS]

Two candidates, at several widths, on frozen Q15 weights over the test recordings of N-MNIST:
*octaves* store a mantissa at the event and halve rows lazily; *timestamps* store the time of the last
event and look the decay up for every cell of every context. docs/develop/decisions.md holds the outcome.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numba
import numpy as np

from feast_codegen.codegen.fixed_point import formats
from feast_codegen.codegen.model.file import load_model
from feast_codegen.codegen.model.model import Hyperparameters
from feast_codegen.host.network.float_model import FloatFeast
from feast_codegen.host.network.training import train
from feast_codegen.host.recordings.open import open_source

RADIUS_PAD = 8


@numba.njit(cache=True)
def octaves(t, x, y, radius, weights, tau, bits, shape):
    """Winners with `bits`-bit mantissas, 256 fractions of an octave, truncating shifts."""
    stored = np.zeros((shape[0] + 2 * radius, shape[1] + 2 * radius), np.int64)
    written = np.zeros_like(stored)
    out = np.empty(len(t), np.int64)
    for i in range(len(t)):
        position = (t[i] - t[0]) / (tau * np.log(2.0))
        octave = np.int64(np.floor(position))
        fraction = np.floor((position - octave) * 256)
        stored[y[i] + radius, x[i] + radius] = np.int64(np.rint(2.0 ** (bits - 1 + (fraction + 0.5) / 256)))
        written[y[i] + radius, x[i] + radius] = octave
        out[i] = winner(stored, octave - written, y[i], x[i], radius, weights)
    return out


@numba.njit(cache=True)
def winner(stored, ages, y, x, radius, weights):
    best, best_n = np.int64(-(2**62)), 0
    side = 2 * radius + 1
    for n in range(weights.shape[0]):
        total = np.int64(0)
        for row in range(side):
            for column in range(side):
                age = ages[y + row, x + column]
                if age < 15:
                    total += (stored[y + row, x + column] >> age) * weights[n, row * side + column]
        if total > best:
            best, best_n = total, n
    return best_n


@numba.njit(cache=True)
def timestamps(t, x, y, radius, weights, tau, bits, entries, reach, shape):
    """Winners with last-event times and a decay table of `entries` steps over `reach` tau."""
    last = np.full((shape[0] + 2 * radius, shape[1] + 2 * radius), -1, np.int64)
    step = reach * tau / entries
    table = np.rint(np.exp(-(np.arange(entries) + 0.5) * step / tau) * (2.0**bits - 1)).astype(np.int64)
    out = np.empty(len(t), np.int64)
    side = 2 * radius + 1
    context = np.zeros(side * side, np.int64)
    for i in range(len(t)):
        last[y[i] + radius, x[i] + radius] = t[i]
        for row in range(side):
            for column in range(side):
                fired = last[y[i] + row, x[i] + column]
                index = np.int64((t[i] - fired) / step)
                context[row * side + column] = table[index] if fired >= 0 and index < entries else 0
        best = np.int64(-(2**62))
        for n in range(weights.shape[0]):
            total = np.int64(0)
            for d in range(side * side):
                total += context[d] * weights[n, d]
            if total > best:
                best, out[i] = total, n
    return out


def main(model_path: str | None = None, root: str = "../shared/data/nmnist") -> None:
    """Print one line per representation: agreement, bytes of surface, bytes of table."""
    if model_path:
        model = load_model(Path(model_path))
    else:
        model = train(open_source(f"{root}/train"), Hyperparameters(), epochs=1, seed=0).model
    weights = formats.to_weights(model.weights).astype(np.int64)
    params, sensor = model.params, model.sensor
    shape = (sensor.height, sensor.width)
    cells = sensor.height * (sensor.width + 2 * params.radius)
    reference = FloatFeast(model, dtype=np.float64)
    streams = [stream.events for stream in open_source(f"{root}/test")]
    expected = []
    for events in streams:
        reference.reset()
        expected.append(reference.step(events))
    truth = np.concatenate(expected)

    def columns(events):
        return (events["t_us"].astype(np.int64), events["x"].astype(np.int64), events["y"].astype(np.int64))

    print(f"{len(truth)} events, {params.total_features} features of {params.side}x{params.side}")
    print(f"{'representation':44} {'agreement':>9} {'surface':>8} {'table':>6}")
    for bits in (8, 10, 12, 15):
        got = np.concatenate(
            [octaves(*columns(e), params.radius, weights, params.tau_us, bits, shape) for e in streams]
        )
        size = cells * (1 if bits == 8 else 2) + 4 * sensor.height
        line(f"octaves, {bits}-bit mantissa", got, truth, size, 512)
    for bits, entries, reach in ((8, 64, 4.0), (8, 256, 6.0), (12, 256, 8.0), (12, 1024, 8.0)):
        got = np.concatenate(
            [
                timestamps(*columns(e), params.radius, weights, params.tau_us, bits, entries, reach, shape)
                for e in streams
            ]
        )
        table = entries * (1 if bits == 8 else 2)
        line(f"timestamps, {bits}-bit table of {entries} over {reach:g} tau", got, truth, cells * 4, table)


def line(name: str, got: np.ndarray, truth: np.ndarray, surface: int, table: int) -> None:
    print(f"{name:44} {100 * np.mean(got == truth):8.3f}% {surface:7}B {table:5}B")


if __name__ == "__main__":
    main(*sys.argv[1:])
