"""Steps the float model in float32 with the C kernel: `host/engines/kernels/feast_float.c`."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from codegen.model import Model
from codegen.records import EVENT_DTYPE, Events, Results
from host.engines.feast_loop import Float64Array, Rule
from host.engines.native_kernel import Kernel, load_kernel

Float32Array = npt.NDArray[np.float32]

_MARGIN: Final = 16
"""Columns of zeros behind each row of the surface: vectors are read beyond the end of a patch."""
_LINE_BYTES: Final = 64
"""Vectors that do not cross a cache line are read at full speed."""


class NativeEngine:
    """Surfaces, weights and thresholds in the layout of the kernel. Copies and pickles like any object."""

    @staticmethod
    def available(radius: int) -> bool:
        """True if the kernel for this radius could be compiled, or was before."""
        return load_kernel(radius) is not None

    def __init__(self, model: Model) -> None:
        """Raises RuntimeError unless `available`."""
        params, sensor = model.params, model.sensor
        self._side, self._dims = params.side, params.dims
        self._row_quads = -(-params.side // 4)
        lanes = self._kernel().lanes
        share = lanes // 4
        self._vectors = -(-params.neurons // share)
        blocks = -(-self._vectors // 4)
        banks, neurons = params.banks, params.neurons
        padded = np.zeros((banks, self._vectors * share, self._side, self._row_quads * 4), np.float32)
        shape = (banks, neurons, self._side, self._side)
        padded[:, :neurons, :, : self._side] = model.weights.reshape(shape)
        quads = padded.reshape(banks, self._vectors, share, self._side * self._row_quads, 4)
        self._weights = _aligned(quads.swapaxes(2, 3))
        stride = sensor.width + 2 * params.radius + _MARGIN
        self._surfaces = np.zeros((banks, sensor.height + 2 * params.radius, stride), np.float32)
        self._thresholds = model.thresholds.astype(np.float64)
        self._limits = _aligned(np.zeros((banks, blocks, lanes), np.float32))
        self._open = _aligned(np.zeros((blocks, lanes), np.float32))
        stored = self.weights.astype(np.float32)
        self._energies = np.einsum("nd,nd->n", stored, stored)
        self._sums = _aligned(np.zeros((blocks, 4, lanes), np.float32))
        self._times_us = np.zeros(2, np.uint64)
        self._phase = np.full(1, -1.0)
        self._counters = np.zeros(5, np.int64)

    @property
    def weights(self) -> Float64Array:
        """float64 (features, D): a copy."""
        banks, vectors, _, share, _ = self._weights.shape
        rows = self._weights.swapaxes(2, 3).reshape(banks, vectors * share, self._side, self._row_quads * 4)
        features = self._thresholds.size // banks
        return rows[:, :features, :, : self._side].reshape(-1, self._dims).astype(np.float64)

    @property
    def thresholds(self) -> Float64Array:
        """float64 (features,): a copy."""
        return self._thresholds.copy()

    @property
    def counters(self) -> npt.NDArray[np.int64]:
        """(5,): hits, misses, border, outside, backwards."""
        return self._counters

    def reset(self) -> None:
        """Begin a new recording."""
        self._surfaces.fill(0.0)
        self._times_us.fill(0)
        self._phase.fill(-1.0)

    def run(self, rule: Rule, events: Events, results: Results, details: Float64Array) -> None:
        """Step EVENT_DTYPE (n,) events; fills int16 (n,) results and, if it has rows, `details` (n, 3)."""
        events = np.ascontiguousarray(events, EVENT_DTYPE)
        kernel = self._kernel()
        told, state = self._rule(kernel, rule), self._state(kernel)
        kernel.lib.feast_limits(told, state)
        kernel.lib.feast_step(
            told,
            state,
            _pointer(kernel, "void *", events),
            len(events),
            _pointer(kernel, "int16_t *", results),
            _pointer(kernel, "double *", details) if len(details) else kernel.ffi.NULL,
        )

    def _kernel(self) -> Kernel:
        kernel = load_kernel(self._side // 2)
        if kernel is None:
            raise RuntimeError("no C kernel on this machine")
        return kernel

    def _rule(self, kernel: Kernel, rule: Rule) -> Any:
        fields = rule._asdict()
        del fields["radius"], fields["channels"]
        fields["is_signed"] = fields.pop("signed")
        return kernel.ffi.new(
            "rule_t *", fields | {"stride": self._surfaces.shape[2], "vectors": self._vectors}
        )

    def _state(self, kernel: Kernel) -> Any:
        arrays = {
            "surfaces": self._surfaces,
            "weights": self._weights,
            "thresholds": self._thresholds,
            "limits": self._limits,
            "open": self._open,
            "energies": self._energies,
            "sums": self._sums,
            "times_us": self._times_us,
            "phase": self._phase,
            "counters": self._counters,
        }
        types = {
            np.float32: "float *",
            np.float64: "double *",
            np.uint64: "uint64_t *",
            np.int64: "int64_t *",
        }
        return kernel.ffi.new(
            "state_t *",
            {name: _pointer(kernel, types[array.dtype.type], array) for name, array in arrays.items()},
        )


def _pointer(kernel: Kernel, kind: str, array: npt.NDArray[Any]) -> Any:
    return kernel.ffi.cast(kind, array.ctypes.data)


def _aligned(values: Float32Array) -> Float32Array:
    """A copy in C order that begins at a cache line."""
    memory = np.empty(values.size + _LINE_BYTES // 4, np.float32)
    first = (-memory.ctypes.data % _LINE_BYTES) // 4
    copy = memory[first : first + values.size].reshape(values.shape)
    copy[...] = values
    return copy
