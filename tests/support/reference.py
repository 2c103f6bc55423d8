"""The rule of FEAST in plain NumPy: no tricks, so that it can be checked by reading it.

It keeps the time of each pixel's last event and computes every context from it.
"""

from __future__ import annotations

import numpy as np

from feast_codegen.codegen.base.events import BACKWARDS, BORDER, MISS, OUTSIDE, Events
from feast_codegen.codegen.model.model import Model


class Reference:
    def __init__(self, model: Model, learning: bool = False, select: str = "nearest") -> None:
        self.model, self.p, self.sensor = model, model.params, model.sensor
        self.learning, self.select = learning, select
        self.lower = Reference(model.lower) if model.lower else None
        self.weights, self.thresholds = model.weights.copy(), model.thresholds.copy()
        self.reset()

    def reset(self) -> None:
        if self.lower:
            self.lower.reset()
        shape = (self.p.surfaces, self.sensor.height, self.sensor.width)
        self.fired_us = np.zeros(shape, np.uint64)  # time of each pixel's last event
        self.sign = np.zeros(shape)  # 0: never fired
        self.last_us = 0

    def step(self, events: Events) -> list[int]:
        return [self.one(*(int(event[name]) for name in ("t_us", "x", "y", "polarity"))) for event in events]

    def one(self, t_us: int, x: int, y: int, polarity: int) -> int:
        """With two layers, the lower one's winner is the channel of the upper one's event."""
        if self.lower is None:
            return self.layer(t_us, x, y, polarity)
        below = self.lower.one(t_us, x, y, polarity)
        return below if below < 0 else self.layer(t_us, x, y, polarity, below)

    def layer(self, t_us: int, x: int, y: int, polarity: int, channel: int = 0) -> int:
        p, r = self.p, self.p.radius
        if not (x < self.sensor.width and y < self.sensor.height):
            return OUTSIDE
        if t_us < self.last_us:
            return BACKWARDS
        self.last_us = t_us
        bank = int(p.polarity == "separate" and polarity != 0)
        surface = bank + channel
        self.fired_us[surface, y, x] = t_us
        self.sign[surface, y, x] = -1.0 if p.polarity == "signed" and polarity == 0 else 1.0
        inside = r <= x < self.sensor.width - r and r <= y < self.sensor.height - r
        if p.border == "skip" and not inside:
            return BORDER
        seen = slice(bank * p.channels, (bank + 1) * p.channels)
        age_us = (np.uint64(t_us) - self.fired_us[seen]).astype(float)
        values = self.sign[seen] * np.exp(-age_us / p.tau_us)
        patches = np.pad(values, ((0, 0), (r, r), (r, r)))[:, y : y + p.side, x : x + p.side]
        context = patches.swapaxes(0, 1).ravel()  # row, channel, column
        unit = context / np.linalg.norm(context)
        ids = np.arange(p.features) + bank * p.features
        scores = self.weights[ids] @ unit
        thresholds = self.learning or self.select == "threshold"
        in_range = scores >= self.thresholds[ids] if thresholds else np.ones(p.features, bool)
        if not in_range.any():
            if self.learning:
                self.thresholds[ids] = np.maximum(self.thresholds[ids] - p.delta_e, -1.0)
            return MISS
        winner = int(ids[np.argmax(np.where(in_range, scores, -np.inf))])
        if self.learning:
            moved = self.weights[winner] + p.eta * (unit - self.weights[winner])
            self.weights[winner] = moved / np.linalg.norm(moved)
            self.thresholds[winner] = min(self.thresholds[winner] + p.delta_i, 1.0)
        return winner
