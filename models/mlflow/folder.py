"""The folder of a logged model: what its `MLmodel` says, and what of it can become a version here.

Only files are read, and nothing is unpickled; MLflow need not be installed. Which signature comes of it is
found by trying, as for any other file: what was declared only says which types the columns have.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from models.errors import ArtefactRefused
from models.manifest import MlflowOrigin
from models.mlflow.example import example
from models.pickles import Contents, check, inspect
from models.samples import Sample
from models.skops_files import is_skops

FILE = "MLmodel"
REGISTERED = "registered_model_meta"
MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class LoggedModel:
    """What a folder holds. ``example`` has the declared columns, and no rows if no example was logged."""

    file: Path
    example: Sample | None
    origin: MlflowOrigin


def is_logged_model(path: Path) -> bool:
    """Whether MLflow wrote the folder."""
    return (path / FILE).is_file()


def read(folder: Path, *, has_code: bool) -> LoggedModel:
    """The scikit-learn model in the folder; ``has_code`` if its modules are given with it.

    Raises ArtefactRefused: ``not_mlflow``, ``other_flavour``, ``mlflow_code``, ``other_sklearn_version``,
    ``other_python_version``, ``bad_example``.
    """
    described = _document(folder)
    flavours = _mapping(described.get("flavors"))
    if "sklearn" not in flavours:
        raise _other_flavour(folder, flavours)
    flavour = _mapping(flavours["sklearn"])
    code = flavour.get("code") or _mapping(flavours.get("python_function")).get("code")
    if code and not has_code:
        raise _own_code(folder, str(code))
    # told now, because a pickle of another version may not even be readable
    versions = {str(flavour["sklearn_version"])} if flavour.get("sklearn_version") else set()
    check(Contents(sklearn_versions=versions), folder.name, ())
    file = _inside(folder, flavour.get("pickled_model"))
    _check_python(folder, file, str(_mapping(flavours.get("python_function")).get("python_version")))
    return LoggedModel(
        file=file,
        example=example(folder, described),
        origin=_origin(folder, described),
    )


def run_id(folder: Path) -> str | None:
    """The run that logged the model."""
    return _text(_document(folder), "run_id")


def _document(folder: Path) -> dict[str, Any]:
    try:
        return read_yaml(folder / FILE)
    except (OSError, ValueError) as error:
        raise ArtefactRefused(
            "not_mlflow",
            f"{folder} is a folder, and not one that MLflow wrote: its {FILE} cannot be read ({error}). Name "
            "the model's file, or the folder of a logged model.",
        ) from error


def read_yaml(path: Path) -> dict[str, Any]:
    """A mapping in YAML; ValueError if it is something else, OSError if it is not there."""
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"no YAML: {error}") from error
    if not isinstance(found, dict):
        raise ValueError("no mapping")
    return found


def _origin(folder: Path, described: dict[str, Any]) -> MlflowOrigin:
    registered = None
    if (folder / REGISTERED).is_file():
        meta = read_yaml(folder / REGISTERED)
        registered = f"{meta.get('model_name')}/{meta.get('model_version')}"
    return MlflowOrigin(
        run_id=_text(described, "run_id"),
        model_uuid=_text(described, "model_uuid"),
        model_id=_text(described, "model_id"),
        mlflow_version=_text(described, "mlflow_version"),
        registered=registered,
    )


def _text(described: dict[str, Any], key: str) -> str | None:
    value = described.get(key)
    return None if value is None else str(value)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _inside(folder: Path, name: Any) -> Path:
    """The model's file, which may not be somewhere else on this machine."""
    path = PurePosixPath(name) if isinstance(name, str) else PurePosixPath("..")
    if path.is_absolute() or ".." in path.parts:
        raise ArtefactRefused(
            "not_mlflow", f"{folder / FILE} names no file of the folder as the pickled model: {name!r}."
        )
    return folder / path


def _check_python(folder: Path, file: Path, python: str) -> None:
    """Functions that cloudpickle put into the file itself are code of one version of Python."""
    here = platform.python_version_tuple()[:2]
    if not python[:1].isdigit() or tuple(python.split(".")[:2]) == here or is_skops(file):
        return
    if "cloudpickle" in inspect(file, file.name).packages:
        raise ArtefactRefused(
            "other_python_version",
            f"{folder.name} holds functions by value, written by Python {python}; this is "
            f"{'.'.join(here)}. Log the model again with this version, or with the functions in a module.",
        )


def _other_flavour(folder: Path, flavours: dict[str, Any]) -> ArtefactRefused:
    there = ", ".join(sorted(map(str, flavours))) or "none"
    return ArtefactRefused(
        "other_flavour",
        f"{folder.name} was not logged as a scikit-learn model (its flavours: {there}). Log the fitted "
        "estimator with mlflow.sklearn.log_model; boosters of other libraries have a class with "
        "scikit-learn's interface, such as XGBClassifier, that is logged so.",
    )


def _own_code(folder: Path, code: str) -> ArtefactRefused:
    return ArtefactRefused(
        "mlflow_code",
        f"{folder.name} was logged with code of its own (code_paths), which would run here. Read it, and add "
        f"the model with --code {folder / code}, or with your own copy of these modules.",
    )
