"""What every example script does once it has a model: write it, say how good it is, log it, and add it.

    python examples/train_wine.py OUT_DIR                            # writes the model, and rows held back
    python examples/train_wine.py OUT_DIR --add --alias production   # adds it if it is good enough

`--add` calls `rowmill models add` with what the script knows: the sample, the target, the rows held back and
how good the model must be on them. Options that are not known here, such as `--better-than production`, are
handed on to it, and its exit status is the script's: 6 if the model is not good enough. The new version is
the last line of stdout.

With MLFLOW_TRACKING_URI set, and `rowmill[mlflow]` installed, the run is logged (parameters, metrics, the
model), and the version is added from there, so that it tells its run.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import sklearn
from sklearn.base import is_classifier
from sklearn.model_selection import train_test_split


@dataclass(frozen=True)
class Trained:
    """A fitted model, how good it is on what was held back, and what `rowmill models add` is told of it."""

    name: str  # of the files; the model's is the same with hyphens
    model: Any
    metrics: Mapping[str, float]
    held_back: str  # what they were measured on: 45 rows
    require: str  # what the gate asks: accuracy>=0.9
    holdout: Path
    options: Sequence[str | Path] = ()
    note: str = ""  # more to say about how good it is
    example: pd.DataFrame | None = field(default=None, repr=False)  # rows for MLflow's signature


@dataclass(frozen=True)
class Options:
    """What the command line asks for; ``handed_on`` are options of `rowmill models add`."""

    folder: Path
    add: bool
    name: str | None
    alias: str | None
    pictures: Path | None
    handed_on: Sequence[str]


def options(description: str | None, *, takes_pictures: bool = False) -> Options:
    """Read the command line, and make the folder to write to."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="OUT_DIR")
    if takes_pictures:
        parser.add_argument("pictures", type=Path, nargs="?", metavar="PICTURES")
    parser.add_argument("--add", action="store_true", help="add the model if it is good enough")
    parser.add_argument("--name", metavar="NAME", help="under this name, not the script's own")
    parser.add_argument("--alias", metavar="ALIAS", help="then point this alias at the new version")
    given, handed_on = parser.parse_known_args()
    if not given.add and (given.name or given.alias or handed_on):
        parser.error("--name, --alias and options of `rowmill models add` go with --add")
    given.folder.mkdir(parents=True, exist_ok=True)
    pictures = getattr(given, "pictures", None)
    return Options(given.folder, given.add, given.name, given.alias, pictures, handed_on)


def train(
    model: Any, rows: pd.DataFrame, target: pd.Series[Any], *, require: str, description: str | None
) -> None:
    """The rest of a script that has said which model learns to predict what; names are the script's own."""
    asked = options(description)
    name = Path(sys.argv[0]).stem.removeprefix("train_")
    learnt, held_back, learnt_target, held_back_target = train_test_split(
        rows, target, test_size=0.25, random_state=0, stratify=target if is_classifier(model) else None
    )
    model.fit(learnt, learnt_target)
    sample, holdout = (asked.folder / f"{name}.{part}.csv" for part in ("sample", "holdout"))
    rows.join(target).to_csv(sample, index=False)
    held_back.join(held_back_target).to_csv(holdout, index=False)
    trained = Trained(
        name=name,
        model=model,
        metrics={"accuracy" if is_classifier(model) else "R2": model.score(held_back, held_back_target)},
        held_back=f"{len(held_back)} rows",
        require=require,
        holdout=holdout,
        options=["--sample", sample, "--target", str(target.name)],
        example=learnt.head(),
    )
    finish(trained, asked)


def finish(trained: Trained, asked: Options) -> None:
    """All that comes after training; ends the script if the version is not added."""
    file = asked.folder / f"{trained.name}.joblib"
    joblib.dump(trained.model, file)
    figures = ", ".join(f"{metric} {value:.3f}" for metric, value in trained.metrics.items())
    print(f"{trained.name}: {figures} on {trained.held_back} held back{trained.note}")
    address = logged(trained) if os.environ.get("MLFLOW_TRACKING_URI") else None
    if asked.add:
        add(trained, address or str(file), asked)


def logged(trained: Trained) -> str:
    """Log the run on the server of MLFLOW_TRACKING_URI; the model's address there."""
    try:
        import mlflow.sklearn  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        sys.exit("MLFLOW_TRACKING_URI is set: run `pip install 'rowmill[mlflow]'`, or unset it")
    given = trained.model.get_params()
    parameters = {name: value for name, value in given.items() if isinstance(value, str | int | float)}
    mlflow.set_experiment(f"rowmill {trained.name}")
    with mlflow.start_run() as run:
        mlflow.log_params(parameters)
        mlflow.log_metrics(dict(trained.metrics))
        mlflow.sklearn.log_model(
            trained.model,
            name="model",
            serialization_format="cloudpickle",
            input_example=trained.example,
            pip_requirements=[f"scikit-learn=={sklearn.__version__}"],
        )
    print(f"logged as run {run.info.run_id}")
    return f"runs:/{run.info.run_id}/model"


def add(trained: Trained, file: str, asked: Options) -> None:
    """Gate the model, add it, and move the alias."""
    name = asked.name or trained.name.replace("_", "-")
    gate = ("--holdout", trained.holdout, "--require", trained.require)
    version = rowmill("models", "add", name, file, *trained.options, *gate, *asked.handed_on)
    if asked.alias:
        rowmill("models", "alias", version, asked.alias, "--note", f"by {Path(sys.argv[0]).name}")
    print(version)


def rowmill(*arguments: str | Path) -> str:
    """Run `rowmill` as a user would; what it printed. Ends the script with its exit status if it failed."""
    command = [str(Path(sys.executable).with_name("rowmill")), *map(str, arguments)]
    print(f"$ rowmill {shlex.join(command[1:])}", flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout.strip()
