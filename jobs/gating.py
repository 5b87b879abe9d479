"""The gate of `rowmill models add`: a version that is not good enough on a holdout is not added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from base.files import sha256_of
from base.settings import Settings
from jobs.measuring import measure, measure_beside, naming_rival
from models.gate import Bar, BarMissed, Contest, Evaluation, Measured, checks
from models.loading import LoadedModel
from models.manifest import Manifest
from models.registry import PRODUCTION, Registry


@dataclass(frozen=True)
class Gate:
    """What a new version must reach on the rows of ``holdout``, whose labels are in the column ``target``.

    ``better_than`` is an alias or a version of the same model, which is judged on the same rows.
    """

    registry: Registry
    settings: Settings
    holdout: Path
    target: str | None
    bars: Sequence[Bar] = ()
    better_than: str | None = None

    def __call__(self, model: LoadedModel) -> Evaluation:
        """Measure a version that is about to be added. Raises BarMissed, or ModelError for what cannot be."""
        name = model.manifest.name
        other = self._rival(name)  # a wrong name is told before the work
        measured, contest = self._measured(model, other)
        default = "rmse" if model.manifest.task == "regression" else "accuracy"
        gated = bool(self.bars or self.better_than)
        evaluation = Evaluation(
            holdout=self.holdout.name,
            sha256=sha256_of(self.holdout),
            rows=measured.rows,
            unlabelled=measured.unlabelled,
            metrics=measured.figures,
            checks=tuple(checks(self.bars, measured, default, contest, gated=gated)),
            rival=None if contest is None else contest.rival,
        )
        if evaluation.missed:
            raise BarMissed(name, evaluation)
        return evaluation

    def _rival(self, name: str) -> Manifest | None:
        """The version to be better than. The first version of a model has none.

        ``production`` is what the plain name means to clients now, so there is one even before the alias is
        set.
        """
        if self.better_than is None or not self.registry.list(name):
            return None
        plain = self.better_than == PRODUCTION
        return self.registry.resolve(name if plain else f"{name}@{self.better_than}")

    def _measured(self, model: LoadedModel, other: Manifest | None) -> tuple[Measured, Contest | None]:
        if other is None:
            return measure(model, self.holdout, self.target, self.settings), None
        with naming_rival(other):
            rival = self.registry.load(other.name, other.version)
        return measure_beside(rival, model, self.holdout, self.target, self.settings)
