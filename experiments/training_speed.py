"""Events per second that the float model trains, on one core, recordings already in memory.

python -m experiments.training_speed [SOURCE] [--recordings 200]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from feast_codegen.codegen.model.model import Hyperparameters
from feast_codegen.host.network.float_model import FloatFeast, initial_model
from feast_codegen.host.recordings.open import open_source


def main() -> None:
    """Print one line per network size and number format; the loops are compiled beforehand."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", nargs="?", default="sim:digits?count=200")
    parser.add_argument("--recordings", type=int, default=200)
    arguments = parser.parse_args()
    source = open_source(arguments.source).shuffled(seed=0)
    recordings = [source.load(index).events for index in range(min(arguments.recordings, len(source)))]
    events = sum(recording.size for recording in recordings)
    print(f"{arguments.source}: {events} events, 11x11, merged, zero border")
    for features in (16, 32, 64):
        for dtype in (np.float32, np.float64):
            model = initial_model(Hyperparameters(features=features), source.sensor, seed=0)
            FloatFeast(model, learning=True, dtype=dtype).step(recordings[0][:10])
            net = FloatFeast(model, learning=True, dtype=dtype)
            start, busy = time.perf_counter(), time.process_time()
            for recording in recordings:
                net.reset()
                net.step(recording)
            wall, cpu = time.perf_counter() - start, time.process_time() - busy
            print(
                f"N={features:<3} {dtype.__name__}: {events / wall / 1e6:.2f} M events/s, "
                f"{events / cpu / 1e6:.2f} M per second of CPU"
            )


if __name__ == "__main__":
    main()
