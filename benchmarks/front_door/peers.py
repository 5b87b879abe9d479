"""The servers that are compared: what each is installed from, how it is started, and what it is asked.

Every peer gets an environment of its own below the benchmark's folder, since their requirements contradict
each other, and the same scikit-learn as Rowmill.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.data import FEATURES

SERVICES = Path(__file__).parent / "services"
Row = Sequence[float]


@dataclass(frozen=True)
class Peer:
    """A server of single predictions.

    ``command`` is what to run in the environment's ``bin``, with the places ``{port}``, ``{service}`` (the
    folder of the services) and ``{model}`` (what ``prepare`` made of the model's file, else that file).
    """

    name: str
    requirements: tuple[str, ...]
    command: tuple[str, ...]
    path: str = "/predict"
    body: Callable[[Row], Any] = lambda row: {"features": list(row)}
    probabilities: Callable[[Any], Sequence[float]] = lambda answer: answer["probabilities"]
    prepare: Callable[[Path, Path, Path], Path] = lambda _bin, model, _work: model


def _mlflow_model(binaries: Path, model: Path, work: Path) -> Path:
    logged = work / f"mlflow-{model.stem}"
    if not logged.exists():
        subprocess.run([binaries / "python", SERVICES / "mlflow_model.py", model, logged], check=True)
    return logged


def _mlserver_model(_binaries: Path, model: Path, work: Path) -> Path:
    folder = work / f"mlserver-{model.stem}"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(model, folder / "model.joblib")
    settings = {
        "name": "model",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./model.joblib"},
    }
    (folder / "model-settings.json").write_text(json.dumps(settings))
    return folder


def _tensor(row: Row) -> dict[str, Any]:
    tensor = {"name": "x", "shape": [1, len(row)], "datatype": "FP64", "data": list(row)}
    return {"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}


_SKLEARN = f"scikit-learn=={version('scikit-learn')}"
_TWO_PROCESSES = ("--workers", "2")
PEERS = (
    Peer(
        "flask",
        ("flask", "gunicorn", _SKLEARN),
        (
            "gunicorn",
            *_TWO_PROCESSES,
            "--threads=4",
            "--chdir={service}",
            "-b127.0.0.1:{port}",
            "flask_service:app",
        ),
    ),
    Peer(
        "fastapi",
        ("fastapi", "uvicorn[standard]", _SKLEARN),
        (
            *("uvicorn", *_TWO_PROCESSES, "--app-dir={service}", "--port={port}"),
            *("--no-access-log", "--log-level=error", "fastapi_service:app"),
        ),
    ),
    Peer("litserve", ("litserve", _SKLEARN), ("python", "{service}/litserve_service.py", "{port}")),
    Peer(
        "bentoml",
        ("bentoml", _SKLEARN),
        ("bentoml", "serve", "--port={port}", "--working-dir={service}", "bentoml_service:Service"),
        probabilities=lambda answer: answer,
    ),
    Peer(
        "mlserver",
        ("mlserver", "mlserver-sklearn", "uvloop<0.21", _SKLEARN),
        ("mlserver", "start", "{model}"),
        path="/v2/models/model/infer",
        body=_tensor,
        probabilities=lambda answer: answer["outputs"][0]["data"],
        prepare=_mlserver_model,
    ),
    Peer(
        "mlflow",
        ("mlflow", _SKLEARN),
        (
            "mlflow",
            "models",
            "serve",
            "-m",
            "{model}",
            "--env-manager=local",
            "--port={port}",
            *_TWO_PROCESSES,
        ),
        path="/invocations",
        body=lambda row: {"dataframe_split": {"columns": FEATURES, "data": [list(row)]}},
        probabilities=lambda answer: answer["predictions"][0],
        prepare=_mlflow_model,
    ),
)


def install(peer: Peer, folder: Path) -> Path:
    """The ``bin`` of the peer's environment, made if it is not there yet."""
    place = folder / "peers" / peer.name
    installed = place / ".installed"
    if not installed.exists():
        print(f"Installing {peer.name} …", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        pip = (place / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check")
        subprocess.run([*pip, *peer.requirements], check=True)
        installed.touch()
    return place / "bin"


def start(peer: Peer, folder: Path, model: Path, port: int) -> subprocess.Popen[bytes]:
    """Run the peer on ``port`` with ``model``, one thread to each process, its output in a log beside it."""
    binaries = install(peer, folder)
    prepared = peer.prepare(binaries, model.absolute(), folder / "peers")
    places = {"port": port, "service": SERVICES, "model": prepared}
    command = [word.format(**places) for word in peer.command]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {
        **os.environ,
        **threads,
        "MODEL": str(model.absolute()),
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "PYTHONWARNINGS": "ignore",
        "BENTOML_DO_NOT_TRACK": "true",
        "MLSERVER_HTTP_PORT": str(port),
        "MLSERVER_GRPC_PORT": str(port + 1),
        "MLSERVER_METRICS_PORT": str(port + 2),
        "MLSERVER_PARALLEL_WORKERS": "2",
        "MLSERVER_DEBUG": "false",
    }
    with (folder / "peers" / f"{peer.name}.log").open("wb") as log:
        return subprocess.Popen(
            [str(binaries / command[0]), *command[1:]],
            env=environment,
            cwd=folder / "peers",
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
