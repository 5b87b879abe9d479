"""`make demo`: the whole path once, on free ports and in a temporary folder, with nothing left behind.

It starts the stack, trains and adds the example models, scores a CSV of a million rows and a zip of images
over HTTP as any client would, and compares the results with scikit-learn's own answers. The exit status is 0
only if all of that was true.
"""

from __future__ import annotations

import argparse
import io
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import joblib
import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_digits

from base.settings import Settings
from rowmill import Client
from rowmill.cli.progress import reporting
from rowmill.stack import Stack, StackProblem
from rowmill.stack.programs import child_environment

EXAMPLES = Path(__file__).parent
# What a user would type after `rowmill models add`; {} is the folder that the training scripts wrote to,
# {examples} this one.
ADD = (
    "wine {}/wine.joblib --sample {}/wine.sample.csv --target cultivar",
    "breast-cancer {0}/breast_cancer.joblib --sample {0}/breast_cancer.sample.csv --target diagnosis"
    " --labels 0=malignant,1=benign",
    "diabetes {0}/diabetes.joblib --sample {0}/diabetes.sample.csv --target progression",
    "mixed {0}/mixed.joblib --sample {0}/mixed.sample.csv --target cultivar",
    "sentiment {0}/sentiment.joblib --sample {0}/sentiment.sample.csv --target sentiment"
    " --code {examples}/sentiment_cleaning.py",
    "digits {0}/digits.joblib --image 8x8 --mode L --scale 0..16",
    "shapes {0}/shapes.joblib --image 24x24 --mode L --resize bilinear --scale 0..1",
)
COMPARED_ROWS = 1000
RIGHT_DIGITS = 0.97


class NotTrueError(Exception):
    """Something that the demo shows was not so."""


def check(what: str, true: bool) -> None:
    """Say what holds; raise NotTrueError if it does not."""
    if not true:
        raise NotTrueError(what)
    print(f"  ✓ {what}")


def run(*command: str | Path, env: dict[str, str] | None = None) -> None:
    """Run a program; show what it says only if it fails."""
    done = subprocess.run([*map(str, command)], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotTrueError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stderr}")


def train(folder: Path, rows: int) -> None:
    """Train all example models, two at a time, and make the big CSV."""
    scripts = sorted(EXAMPLES.glob("train_*.py"))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda script: run(sys.executable, script, folder), scripts))
    print(f"  trained {', '.join(script.stem.removeprefix('train_') for script in scripts)}")
    sample, big = folder / "wine.sample.csv", folder / "wine.csv"
    run(sys.executable, EXAMPLES / "make_data.py", sample, big, "--rows", str(rows), "--drop", "cultivar")
    print(f"  made {big.name}: {rows:,} rows, {big.stat().st_size / 1e6:.0f} MB")


def add_models(folder: Path, settings: Settings) -> None:
    """Add them with the command line, as a user would."""
    rowmill, environment = Path(sys.executable).with_name("rowmill"), child_environment(settings, "")
    for arguments in ADD:
        real = arguments.format(folder, folder, examples=EXAMPLES)
        run(rowmill, "models", "add", *real.split(), env=environment)
        print(f"  $ rowmill models add {arguments.format('.', '.', examples='examples')}")


def score(url: str, file: Path, model: str, keep: str | None = None) -> pa.Table:
    """Send a file, watch it, download the result, and return it."""
    began = time.monotonic()
    with Client(url) as client, reporting() as report:
        job = client.submit(file, model, keep=keep, progress=report.sent)
        print(f"  {job.url}")
        resource = job.wait(progress=report.scored)
        target = job.download(file.with_suffix(".scored.parquet"), progress=report.received)
    seconds = time.monotonic() - began
    rows = resource["rows"]
    print(
        f"  {rows['done']:,} rows, {rows['failed']:,} with errors, {resource['chunks']['done']:,} chunk(s), "
        f"{seconds:.1f} s from POST to {target.name}: {rows['done'] / seconds:,.0f} rows/s"
    )
    check("every row was scored", rows["failed"] == 0 and rows["done"] == rows["total"])
    result = pq.read_table(target)
    print(result.slice(0, 5).to_pandas().to_string(index=False, float_format="%.3f", na_rep=""))
    return result


def score_csv(url: str, folder: Path, rows: int) -> None:
    """A million rows of wine."""
    result = score(url, folder / "wine.csv", "wine", keep="id")
    check(f"{rows:,} rows in, {rows:,} rows out", result.num_rows == rows)
    check("in the order of the file", result["id"].to_pylist() == [str(number) for number in range(rows)])
    some = np.linspace(0, rows - 1, COMPARED_ROWS, dtype=int)
    data = pd.read_csv(folder / "wine.csv").drop(columns="id").iloc[some]
    expected = joblib.load(folder / "wine.joblib").predict(data)
    same = result["prediction"].take(some).to_pylist() == expected.tolist()
    check("the same answers as scikit-learn in this process", same)


def score_images(url: str, folder: Path) -> None:
    """A zip of handwritten digits."""
    result = score(url, folder / "digits.zip", "digits")
    names = zipfile.ZipFile(folder / "digits.zip").namelist()
    check(f"{len(names):,} images in, {len(names):,} rows out, in order", result["file"].to_pylist() == names)
    right = np.mean(np.array(result["prediction"].to_pylist()) == load_digits().target)
    check(f"{right:.1%} of the digits are read right", bool(right > RIGHT_DIGITS))


def demo(folder: Path, rows: int) -> None:
    """All of it, in the folder."""
    settings = Settings(
        data_dir=folder / "data",
        # a demo uses nothing that the user has set up for real work
        database_url="",
        redis_url="",
        default_model="",
        host="127.0.0.1",
        flower_host="127.0.0.1",
        port=0,
        flower_port=0,
    )
    print("Starting Redis, the API, two scoring processes, the caretaker and Flower")
    with Stack(settings) as stack:
        print(f"  API {stack.url}\n  Flower {stack.flower_url}")
        print("Training the example models")
        train(folder, rows)
        print("Adding them")
        add_models(folder, stack.settings)
        print(f"Scoring {rows:,} rows of CSV")
        score_csv(stack.url, folder, rows)
        print("Scoring a zip of images")
        score_images(stack.url, folder)
        check("Flower answers", httpx.get(f"{stack.flower_url}/workers").is_success)
        print("Stopping")
        processes = list(stack.pids.values())
    check("nothing runs any more", not any(map(psutil.pid_exists, processes)))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Score example files through the whole stack.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the CSV")
    options = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # in step with the progress on stderr
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="rowmill-demo-") as folder:
            demo(Path(folder), options.rows)
    except (NotTrueError, StackProblem) as problem:
        print(f"The demo failed: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    print("All of it worked. `make up` starts the same stack and keeps it running.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
