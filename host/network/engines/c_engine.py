"""Steps the float model in float32 with the C kernel: `host/network/engines/kernels/feast_float.c`."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feast_codegen.codegen.base.events import EVENT_DTYPE, Events, Results
from feast_codegen.codegen.model.model import Model
from feast_codegen.host.network.engines.c_kernel_build import Kernel, chosen_lanes, load_kernel
from feast_codegen.host.network.engines.numba_kernel import Float64Array, Rule

Float32Array = npt.NDArray[np.float32]

_MARGIN: Final = 16
"""Columns of zeros behind each row of the surface: vectors are read beyond the end of a patch."""
_LINE_BYTES: Final = 64
"""Vectors that do not cross a cache line are read at full speed."""


class NativeEngine:
    """Surfaces, weights and thresholds in the layout of the kernel. Copies and pickles like any object.

    The layout is that of one width of vectors (c_kernel_build.py), which an object keeps for life.
    Between recordings, weights and thresholds are the whole state: `reset` derives everything else from them.
    """

    @staticmethod
    def available(radius: int) -> bool:
        """True if the kernel for this radius could be compiled, or was before.

        Raises FeastError if FEAST_LANES is no width.
        """
        return load_kernel(radius, chosen_lanes()) is not None

    def __init__(self, model: Model) -> None:
        """Raises RuntimeError unless `available`."""
        params, sensor = model.params, model.sensor
        self._side, self._dims = params.side, params.dims
        self._row_quads = -(-params.side // 4)
        self._chosen = chosen_lanes()
        kernel = load_kernel(params.radius, self._chosen)
        if kernel is None:
            raise RuntimeError("no C kernel on this machine")
        self._lanes = lanes = kernel.lanes
        share = lanes // 4
        self._vectors = -(-params.features // share)
        blocks = -(-self._vectors // 4)
        banks, features_per_bank = params.banks, params.features
        padded = np.zeros((banks, self._vectors * share, self._side, self._row_quads * 4), np.float32)
        shape = (banks, features_per_bank, self._side, self._side)
        padded[:, :features_per_bank, :, : self._side] = model.weights.reshape(shape)
        quads = padded.reshape(banks, self._vectors, share, self._side * self._row_quads, 4)
        self._weights = _aligned(quads.swapaxes(2, 3))
        stride = sensor.width + 2 * params.radius + _MARGIN
        self._surfaces = np.zeros((banks, sensor.height + 2 * params.radius, stride), np.float32)
        self._thresholds = model.thresholds.astype(np.float64)
        self._limits = _aligned(np.zeros((banks, blocks, lanes), np.float32))
        self._open = _aligned(np.zeros((blocks, lanes), np.float32))
        self._energies = self._stored_energies()
        self._moved = False
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
        """Begin a new recording, from the weights and thresholds alone."""
        self._surfaces.fill(0.0)
        self._times_us.fill(0)
        self._phase.fill(-1.0)
        if self._moved:
            self._energies = self._stored_energies()
            self._moved = False

    def run(self, rule: Rule, events: Events, results: Results, details: Float64Array) -> None:
        """Step EVENT_DTYPE (n,) events; fills int16 (n,) results and, if it has rows, `details` (n, 3)."""
        events = np.ascontiguousarray(events, EVENT_DTYPE)
        kernel = self._kernel()
        rule_values, state = self._rule(kernel, rule), self._state(kernel)
        self._moved = self._moved or rule.learning
        kernel.lib.feast_limits(rule_values, state)
        kernel.lib.feast_step(
            rule_values,
            state,
            _pointer(kernel, "void *", events),
            len(events),
            _pointer(kernel, "int16_t *", results),
            _pointer(kernel, "double *", details) if len(details) else kernel.ffi.NULL,
        )

    def _kernel(self) -> Kernel:
        """The kernel of this layout, also after a pickle came from a machine of another width."""
        kernel = load_kernel(self._side // 2, self._chosen)
        if kernel is not None and kernel.lanes != self._lanes:
            kernel = load_kernel(self._side // 2, self._lanes)
        if kernel is None:
            raise RuntimeError("no C kernel on this machine")
        return kernel

    def _stored_energies(self) -> Float32Array:
        """(features,): squared norms of the weights, the same bits for the same weights."""
        squares = np.square(self._weights, dtype=np.float64)
        banks = self._weights.shape[0]
        padded = squares.sum(axis=(2, 4)).reshape(banks, -1)
        features = self._thresholds.size // banks
        return np.ascontiguousarray(padded[:, :features], np.float32).reshape(-1)

    def _rule(self, kernel: Kernel, rule: Rule) -> Any:
        fields = rule._asdict()
        del fields["radius"], fields["channels"]
        fields["is_signed"] = fields.pop("signed")
        return kernel.ffi.new(
            "rule_t *", fields | {"stride": self._surfaces.shape[2], "vectors": self._vectors}
        )

    def _state(self, kernel: Kernel) -> Any:
        arrays: dict[str, npt.NDArray[Any]] = {
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
