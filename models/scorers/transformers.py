"""Compiles single transformers of numbers: scalers, imputers, selectors of features."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from models.scorers.expanding import Bins, Products
from models.scorers.part import NotCompiled
from models.scorers.sources import NUMBER, Source, Stage
from models.scorers.steps import Impute, Scale, Take


def compile_scaler(scaler: Any, stage: Stage) -> tuple[Scale, Stage]:
    """A fitted StandardScaler, MinMaxScaler, MaxAbsScaler or RobustScaler. Raises NotCompiled."""
    stage.check_width(scaler)
    stage.check_numbers(scaler)
    after = replace(stage, sources=(NUMBER,) * len(stage.sources), names=None)
    if stage.sparse:
        return _sparse_scale(scaler), after
    if type(scaler) is StandardScaler:
        minus, over = scaler.mean_ if scaler.with_mean else None, scaler.scale_ if scaler.with_std else None
        return Scale(minus=_numbers(minus), over=_numbers(over)), after
    if type(scaler) is RobustScaler:
        minus = scaler.center_ if scaler.with_centering else None
        over = scaler.scale_ if scaler.with_scaling else None
        return Scale(minus=_numbers(minus), over=_numbers(over)), after
    if type(scaler) is MinMaxScaler:
        low, high = map(float, scaler.feature_range) if scaler.clip else (None, None)
        times, plus = _numbers(scaler.scale_), _numbers(scaler.min_)
        return Scale(times=times, plus=plus, lowest=low, highest=high), after
    low, high = (-1.0, 1.0) if scaler.clip else (None, None)
    return Scale(over=_numbers(scaler.scale_), lowest=low, highest=high), after


def _sparse_scale(scaler: Any) -> Scale:
    """Sparse columns are not centred, and multiplied by what dense ones are divided by."""
    if getattr(scaler, "clip", False):
        raise NotCompiled(f"{type(scaler).__name__} clips a sparse matrix")
    is_scaling = getattr(scaler, "with_std", True) and getattr(scaler, "with_scaling", True)
    return Scale(times=1.0 / np.asarray(scaler.scale_, np.float64) if is_scaling else None)


def _numbers(values: Any) -> np.ndarray | None:
    return None if values is None else np.asarray(values, dtype=np.float64)


def compile_selector(selector: Any, stage: Stage) -> tuple[Take, Stage]:
    """A fitted selector of features. Raises NotCompiled."""
    stage.check_width(selector)
    stage.check_numbers(selector)
    positions = selector.get_support(indices=True)
    return Take(np.asarray(positions, np.int64)), replace(stage.chosen(positions), sparse=stage.sparse)


def compile_products(expander: Any, stage: Stage) -> tuple[Products, Stage]:
    """Fitted PolynomialFeatures. Raises NotCompiled."""
    _check_dense_numbers(expander, stage)
    columns = np.arange(len(stage.sources))
    # scikit-learn multiplies the last column with the one before it, and so on
    products = [np.repeat(columns, powers)[::-1] for powers in expander.powers_]
    factors = np.full((len(products), max(1, *map(len, products))), len(columns))
    for row, product in zip(factors, products, strict=True):
        row[: len(product)] = product
    return Products(factors), Stage((NUMBER,) * len(factors))


def compile_bins(discretizer: Any, stage: Stage) -> tuple[Bins, Stage]:
    """A fitted KBinsDiscretizer but for its one-hot encoder. Raises NotCompiled."""
    _check_dense_numbers(discretizer, stage)
    if discretizer.dtype not in (None, np.float64):
        raise NotCompiled(f"KBinsDiscretizer with the type {np.dtype(discretizer.dtype)}")
    inner = [edges[1:-1] for edges in discretizer.bin_edges_]
    step = Bins(np.concatenate(inner).astype(np.float64), (0, *accumulate(map(len, inner))))
    return step, Stage((NUMBER,) * len(inner))


def _check_dense_numbers(transformer: Any, stage: Stage) -> None:
    stage.check_width(transformer)
    stage.check_numbers(transformer)
    if stage.sparse:
        raise NotCompiled(f"{type(transformer).__name__} on a sparse matrix")


def compile_imputer(imputer: Any, stage: Stage) -> tuple[Impute, Stage]:
    """A fitted SimpleImputer. Raises NotCompiled."""
    stage.check_width(imputer)
    if stage.sparse:
        raise NotCompiled("SimpleImputer on a sparse matrix")
    _check_types(imputer, stage)
    has_texts = any(True for _ in stage.texts())
    if has_texts:
        _check_text_mark(imputer, stage)
    kept = _kept(imputer)
    fills = imputer.statistics_[kept].astype(imputer._fill_dtype)
    flagged = _flagged(imputer, has_texts)
    sources = tuple(replace(stage.sources[position], missing="never", is_integer=False) for position in kept)
    step = Impute(
        fills=np.array([_fill(*each) for each in zip(sources, fills.tolist(), strict=True)]),
        kept=None if len(kept) == len(stage.sources) else kept,
        missing=None if has_texts else _number_mark(imputer),
        flagged=flagged,
    )
    flags = (NUMBER,) * (0 if flagged is None else len(flagged))
    return step, Stage(sources + flags, objects=has_texts or stage.objects)


def _check_types(imputer: Any, stage: Stage) -> None:
    if imputer.strategy not in ("mean", "median", "most_frequent", "constant"):
        raise NotCompiled(f"SimpleImputer with the strategy {imputer.strategy!r}")
    keeps_type = imputer.strategy in ("most_frequent", "constant")
    if keeps_type and any(source.is_boolean for source in stage.sources):
        raise NotCompiled(f"SimpleImputer with the strategy {imputer.strategy!r} on booleans")
    is_whole = all(source.is_integer for source in stage.sources)
    if imputer.strategy == "constant" and is_whole and np.dtype(imputer._fill_dtype).kind == "f":
        # rows without gaps are whole numbers, into which scikit-learn refuses to fill a fraction
        raise NotCompiled("SimpleImputer fills whole numbers with a constant fraction")


def _number_mark(imputer: Any) -> float | None:
    """The number that means a missing value; None for NaN."""
    mark = imputer.missing_values
    if type(mark) not in (int, float):
        raise NotCompiled(f"SimpleImputer fills {mark!r} among numbers")
    return None if math.isnan(mark) else float(mark)


def _check_text_mark(imputer: Any, stage: Stage) -> None:
    mark = imputer.missing_values
    if not (mark is None or (type(mark) is float and math.isnan(mark))):
        raise NotCompiled(f"SimpleImputer fills {mark!r} among texts")
    for source in stage.sources:
        if source.missing not in ("never", "none" if mark is None else "nan"):
            raise NotCompiled(f"SimpleImputer does not fill what is missing in {source.name!r}")


def _kept(imputer: Any) -> np.ndarray:
    """The columns that stay: those without a value in training have nothing to be filled with."""
    fills = imputer.statistics_.tolist()
    is_empty = np.array([isinstance(fill, float) and math.isnan(fill) for fill in fills])
    if imputer.keep_empty_features and is_empty.any():
        raise NotCompiled("SimpleImputer fills a column with NaN")
    return np.flatnonzero(~is_empty)


def _flagged(imputer: Any, has_texts: bool) -> np.ndarray | None:
    indicator = imputer.indicator_
    if indicator is None or not len(indicator.features_):
        return None
    if has_texts:
        raise NotCompiled("SimpleImputer flags what is missing among texts")
    return np.asarray(indicator.features_, dtype=np.int64)


def _fill(source: Source, fill: Any) -> float:
    is_text = source.vocabulary is not None
    if (type(fill) is str) != is_text or (not is_text and type(fill) not in (int, float)):
        raise NotCompiled(f"SimpleImputer fills {source.name!r} with {fill!r}")
    return source.code(fill) if is_text else float(fill)
