"""How right predictions were: sums that can be added up, and the figures that people know."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jobs.feedback.labels import Kind


@dataclass
class Measured:
    """Predictions and what is known of them; the errors are sums over the labelled ones."""

    rows: int = 0  # with a prediction
    labelled: int = 0
    wrong: int = 0
    absolute_error: float = 0.0
    squared_error: float = 0.0

    def add(self, other: Measured) -> None:
        """Count what another counted too."""
        self.rows += other.rows
        self.labelled += other.labelled
        self.wrong += other.wrong
        self.absolute_error += other.absolute_error
        self.squared_error += other.squared_error

    @property
    def coverage(self) -> float | None:
        """The share of predictions whose label is known."""
        return self.labelled / self.rows if self.rows else None

    def figures(self, kind: Kind) -> dict[str, float | None]:
        """``accuracy``, or of quantities ``mae`` and ``rmse``; None where no label is known."""
        count = self.labelled
        if kind != "quantity":
            return {"accuracy": (count - self.wrong) / count if count else None}
        return {
            "mae": self.absolute_error / count if count else None,
            "rmse": math.sqrt(self.squared_error / count) if count else None,
        }
