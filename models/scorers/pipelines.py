"""From a fitted pipeline to a reader: every transformer in front of the last step, as steps over numbers.

Only exact classes of scikit-learn with understood parameters are taken; for anything else NotCompiled tells
which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_selection import (
    RFE,
    RFECV,
    SelectFdr,
    SelectFpr,
    SelectFromModel,
    SelectFwe,
    SelectKBest,
    SelectPercentile,
    VarianceThreshold,
)
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.utils import check_array

from models.manifest import Signature
from models.scorers.categories import compile_one_hot, compile_ordinal
from models.scorers.columns import Columns
from models.scorers.matrix import Matrix
from models.scorers.part import NotCompiled, Reader
from models.scorers.sources import Source, Stage, raw_stage
from models.scorers.steps import Branch, Branches, Complete, Step
from models.scorers.transformers import (
    compile_bins,
    compile_imputer,
    compile_products,
    compile_scaler,
    compile_selector,
)

_BOOSTERS = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
_SEARCHES = (GridSearchCV, RandomizedSearchCV)
_SCALERS = (MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler)
_SELECTORS = (RFE, RFECV, SelectFdr, SelectFpr, SelectFromModel, SelectFwe, SelectKBest, SelectPercentile)

_OUTPUTS = ("default", "pandas", None)

_Compile = Callable[[Any, Stage], tuple[Step, Stage]]
_COMPILERS: Mapping[type, _Compile] = {
    SimpleImputer: compile_imputer,
    OneHotEncoder: compile_one_hot,
    OrdinalEncoder: compile_ordinal,
    TargetEncoder: compile_ordinal,
    PolynomialFeatures: compile_products,
    KBinsDiscretizer: compile_bins,
    **dict.fromkeys(_SCALERS, compile_scaler),
    **dict.fromkeys((*_SELECTORS, VarianceThreshold), compile_selector),
}


def compile_pipeline(estimator: Any, signature: Signature) -> tuple[Reader, Any]:
    """The reader of an estimator, and its last step, which a core must stand for.

    Of histogram gradient boosting with categories the reader also does what the booster's own encoder does:
    its core is given encoded categories first, then numbers. Raises NotCompiled.
    """
    if signature.input not in ("matrix", "frame"):
        raise NotCompiled("the model takes texts")
    steps, last = _flattened(estimator)
    if type(last) in _BOOSTERS and last._preprocessor is not None:
        steps.append(last._preprocessor)
    if not steps and signature.input == "matrix":
        return Matrix(signature.names, signature.dtype), last
    if signature.kind == "image":
        raise NotCompiled("there are steps between the images and the last one")
    if signature.dtype != "float64":
        raise NotCompiled("there are steps between 32-bit numbers and the last one")
    return _columns(steps, signature), last


def _columns(steps: list[Any], signature: Signature) -> Columns:
    first = raw_stage(signature)
    compiled, end = _compiled(steps, first)
    for source in end.texts():
        raise NotCompiled(f"the texts of {source.name!r} reach the last step as they are")
    return Columns(
        names=signature.names,
        vocabularies=tuple(
            None if source.vocabulary is None else tuple(source.vocabulary) for source in first.sources
        ),
        refuses_missing=tuple(source.is_boolean for source in first.sources),
        steps=(*compiled, Complete()) if end.sparse else compiled,
        width=max(len(first.sources), len(end.sources)),
    )


def _flattened(estimator: Any) -> tuple[list[Any], Any]:
    """The transformers of all nested pipelines in order, and the last step. A search stands for its best."""
    while type(estimator) in _SEARCHES:
        estimator = estimator.best_estimator_
    if type(estimator) is not Pipeline:
        return [], estimator
    steps = [each for _, step in estimator.steps[:-1] for each in _transformers(step)]
    rest, last = _flattened(estimator.steps[-1][1])
    return steps + rest, last


def _transformers(step: Any) -> list[Any]:
    """The transformers that one step stands for: those in it, none if it does nothing."""
    if type(step) is Pipeline:
        return [each for _, inner in step.steps for each in _transformers(inner)]
    if type(step) is KBinsDiscretizer and step.encode != "ordinal":
        return [step, step._encoder]
    return [] if _is_passthrough(step) else [step]


def _is_passthrough(step: Any) -> bool:
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return True
    if type(step) is not FunctionTransformer or step.kw_args or step.validate:
        return False
    # boosting's own: a copy as 64-bit numbers, which these are
    is_copy = type(step.func) is partial and step.func.func is check_array and not step.func.args
    as_numbers = {"dtype": [np.float64], "ensure_all_finite": False}
    return step.func is None or (is_copy and step.func.keywords == as_numbers)


def _compiled(steps: list[Any], stage: Stage) -> tuple[tuple[Step, ...], Stage]:
    made: list[Step] = []
    for step in steps:
        if getattr(step, "_sklearn_output_config", {}).get("transform", "default") not in _OUTPUTS:
            raise NotCompiled(f"{type(step).__name__} does not answer with arrays or pandas' frames")
        compile_step = _branches if type(step) is ColumnTransformer else _COMPILERS.get(type(step))
        if compile_step is None:
            raise NotCompiled(f"there is no compiled form of {type(step).__name__}")
        compiled, stage = compile_step(step, stage)
        made.append(compiled)
    return tuple(made), stage


def _branches(transformer: Any, stage: Stage) -> tuple[Step, Stage]:
    """A fitted ColumnTransformer."""
    if stage.sparse or transformer.transformer_weights:
        raise NotCompiled("ColumnTransformer with weights, or on a sparse matrix")
    branches: list[Branch] = []
    sources: list[Source] = []
    objects = False
    for name, inner, selected in transformer.transformers_:
        indices = transformer._transformer_to_input_indices[name]
        if (isinstance(inner, str) and inner == "drop") or not len(indices):
            continue
        if np.isscalar(selected):
            raise NotCompiled(f"{name!r} is given {selected!r} as a series")
        positions = stage.positions(transformer, indices)
        steps, end = _compiled(_transformers(inner), stage.chosen(positions))
        branches.append(Branch(positions, steps))
        sources += end.sources
        objects = objects or end.objects
    if not branches:
        raise NotCompiled("ColumnTransformer leaves no column")
    joined = Stage(tuple(sources), sparse=transformer.sparse_output_, objects=objects)
    return Branches(tuple(branches)), joined
