"""`rowmill models`: what it prints, where, and how it ends."""

from __future__ import annotations

import json
import re
from pathlib import Path

import joblib
import pytest
from sklearn.datasets import load_wine
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from typer.testing import CliRunner, Result

from models.manifest import ImageSpec
from rowmill.cli.models_commands import app

WINE, KIND = load_wine(return_X_y=True, as_frame=True)


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROWMILL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("ROWMILL_DATABASE_URL", raising=False)
    return tmp_path / "data"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "wine.joblib"
    joblib.dump(GaussianNB().fit(WINE.to_numpy(), KIND), path)
    return path


def models(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_add_prints_the_reference_alone_on_stdout(file: Path) -> None:
    result = models("add", "wine", file)
    assert (result.exit_code, result.stdout) == (0, "wine@1\n")
    assert "GaussianNB, 13 columns (x0, x1, x2, x3, …) -> 3 classes (0, 1, 2)" in result.stderr


def test_a_list_of_nothing_says_of_what(file: Path) -> None:
    assert "no model yet" in models("ls").stderr
    models("add", "wine", file)
    assert (
        models("ls", "vine").stderr
        == "no version of vine is in use; `rowmill models add vine FILE` adds one\n"
    )


def test_a_change_that_cannot_be_marked_is_made_and_told(file: Path, data_dir: Path) -> None:
    (data_dir / "models" / ".changes").mkdir(parents=True)  # nothing can be appended to a folder
    added = models("add", "wine", file)
    assert (added.exit_code, added.stdout) == (0, "wine@1\n")
    assert "change not marked; running processes learn of it within seconds" in added.stderr
    assert models("alias", "wine@1", "production").exit_code == 0
    assert "production" in models("ls").stdout


def test_a_model_of_texts_is_added_and_shown_as_such(tmp_path: Path) -> None:
    file = tmp_path / "moods.joblib"
    joblib.dump(make_pipeline(CountVectorizer(), MultinomialNB()).fit(["good", "bad"], [1, 0]), file)
    added = models("add", "moods", file, "--text", "review")
    assert "MultinomialNB, texts (column review) -> 2 classes (0, 1)" in added.stderr
    shown = models("show", "moods").stdout
    assert re.search(r"^input +texts \(column review\)$", shown, re.MULTILINE)
    assert "nanoseconds for each byte of the text" in shown
    assert "REFUSES" not in shown
    refused = models("add", "moods", file, "--text", "review", "--columns", "review")
    assert refused.exit_code == 1
    assert "(columns_conflict)" in refused.stderr


def test_what_scores_a_version_can_be_chosen_and_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "line.joblib"
    joblib.dump(LinearRegression().fit(WINE.to_numpy(), KIND), file)
    for options in ([], ["--scorer", "sklearn"], ["--scorer-tolerance", "1e-9"]):
        assert models("add", "wine", file, *options).exit_code == 0
    assert re.search(r"^scorer +linear: .* rows, one row \d", models("show", "wine@1").stdout, re.MULTILINE)
    assert re.search(r"^scorer +sklearn \(asked for\)$", models("show", "wine@2").stdout, re.MULTILINE)
    assert re.search(r"^scorer +linear: ", models("show", "wine@3").stdout, re.MULTILINE)
    for wrong in (["--scorer", "onnx"], ["--scorer-tolerance", "-1"]):
        assert models("add", "wine", file, *wrong).exit_code == 2


def test_every_option_of_add_reaches_the_manifest(file: Path, tmp_path: Path, data_dir: Path) -> None:
    sample = tmp_path / "sample.csv"
    WINE.assign(kind=KIND).to_csv(sample, index=False)
    (tmp_path / "unused.py").write_text("")
    options: list[object] = ["--sample", sample, "--target", "kind", "--labels", "0=a,1=b,2=c"]
    options += ["--columns", ",".join(WINE.columns), "--meta", "k=v", "--meta", "owner=me", "--data", sample]
    options += ["--revision", "abc", "--code", tmp_path / "unused.py", "--json"]
    result = models("add", "wine", file, *options)
    manifest = json.loads(result.stdout)
    assert [column["name"] for column in manifest["signature"]["columns"]] == list(WINE.columns)
    assert manifest["targets"] == [{"name": "kind", "classes": ["a", "b", "c"], "label_type": "string"}]
    assert manifest["meta"] == {"k": "v", "owner": "me"}
    assert (manifest["revision"], manifest["data_file"]) == ("abc", "sample.csv")
    assert manifest["code"]["modules"] == ["unused"]
    assert (data_dir / "models" / "wine" / "1" / "code" / "unused.py").exists()


def test_image_options_are_kept(tmp_path: Path) -> None:
    joblib.dump(GaussianNB().fit(WINE.iloc[:, :12].to_numpy(), KIND), tmp_path / "m.joblib")
    arguments = ["--image", "2x2", "--mode", "RGB", "--resize", "bicubic", "--scale", "0..1", "--draft"]
    arguments += ["--mean", "0.5,0.25,.125", "--std", "1e-1", "--json"]
    result = models("add", "picture", tmp_path / "m.joblib", *arguments)
    image = json.loads(result.stdout)["signature"]["image"]
    assert ImageSpec.model_validate(image) == ImageSpec(
        width=2,
        height=2,
        mode="RGB",
        resize="bicubic",
        high=1,
        mean=(0.5, 0.25, 0.125),
        std=(0.1,),
        draft=True,
    )
    shown = models("show", "picture").stdout
    assert "images 2x2 RGB, bicubic, 0..1, mean 0.5,0.25,0.125, std 0.1, flat, draft" in shown
    assert "nanoseconds for each byte of the image" in shown


def test_policies_are_kept_and_shown(file: Path, tmp_path: Path) -> None:
    WINE.to_csv(tmp_path / "sample.csv", index=False)
    asked = ["--sample", tmp_path / "sample.csv", "--max-z", "6"]
    asked += ["--on-unusual", "refuse", "--on-unusual", "ash=clip"]
    columns = json.loads(models("add", "wine", file, *asked, "--json").stdout)["signature"]["columns"]
    policies = {column["name"]: (column["on_unusual"], column["max_z"]) for column in columns}
    assert policies == dict.fromkeys(WINE.columns, ("refuse", 6)) | {"ash": ("clip", 6)}
    shown = models("show", "wine").stdout
    assert re.search(r"^ash +float64 +1.36 to 3.23 +clip, z > 6 +missing, infinite$", shown, re.MULTILINE)
    without = models("add", "wine", file, "--on-unusual", "clip")
    assert (without.exit_code, "nothing_known" in without.stderr) == (1, True)


def test_ls_and_show_tell_versions_and_aliases(file: Path) -> None:
    assert models("ls").stdout == ""
    assert "rowmill models add" in models("ls").stderr
    models("add", "wine", file)
    models("add", "wine", file)
    assert models("alias", "wine@1", "production").exit_code == 0
    header, first, second = models("ls").stdout.splitlines()
    assert header.split() == ["VERSION", "ALIASES", "TASK", "ESTIMATOR", "ADDED"]
    assert first.split()[:4] == ["wine@1", "production", "classification", "GaussianNB"]
    assert second.split()[:2] == ["wine@2", "-"]
    documents = [json.loads(line) for line in models("ls", "--json").stdout.splitlines()]
    assert [(each["version"], each["aliases"]) for each in documents] == [(1, ["production"]), (2, [])]
    assert json.loads(models("show", "wine", "--json").stdout)["version"] == 1
    shown = models("show", "wine@2").stdout
    assert "sklearn.naive_bayes.GaussianNB (classification)" in shown
    assert "missing, infinite" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "nope"], "unknown_model"),
        (["add", "Wine", "nope.joblib"], "invalid_name"),
        (["add", "wine", "nope.joblib"], "nope.joblib cannot be copied: No such file or directory"),
        (["alias", "wine@1", "production"], "unknown_model"),
    ],
)
def test_a_refusal_is_one_line_on_stderr(arguments: list[str], words: str) -> None:
    result = models(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--labels", "negative"),
        ("--columns", "a,,b"),
        ("--columns", "a,a"),
        ("--meta", "k"),
        ("--image", "8"),
        ("--image", "0x8"),
        ("--on-unusual", "ash=drop"),
        ("--max-z", "0"),
    ],
)
def test_an_option_of_the_wrong_form_is_a_usage_error(file: Path, option: str, value: str) -> None:
    result = models("add", "wine", file, option, value)
    assert result.exit_code == 2
    assert value.rpartition("=")[2] in result.stderr


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--mode", "CMYK", "'CMYK' is none of L, RGB"),
        ("--resize", "cubic", "none of nearest, box, bilinear"),
        ("--layout", "NCHW", "none of flat, HWC, CHW"),
        ("--scale", "16", "write 0..16"),
        ("--scale", "0-1", "such as 0..1 or -1..1"),
        ("--scale", "1..1", "makes all pixels the same number"),
        ("--scale", "0..1e999", "finite"),
        ("--mean", "a", "not of the form 0.5 or 0.5,0.5,0.5"),
        ("--mean", "1,2,3", "mean has 3 numbers, mode L takes 1"),
        ("--std", "0", "greater than 0"),
    ],
)
def test_an_image_option_that_makes_no_sense_is_a_usage_error(
    file: Path, option: str, value: str, words: str
) -> None:
    result = models("add", "wine", file, "--image", "8x8", option, value)
    assert result.exit_code == 2
    text = " ".join(result.stderr.replace("│", " ").split())
    assert words in text
    assert "Invalid value for --" in text


def test_image_options_go_with_an_image_of_a_size(file: Path) -> None:
    alone = models("add", "wine", file, "--scale", "0..1")
    assert (alone.exit_code, "goes with --image" in alone.stderr) == (2, True)
    any_size = models("add", "wine", file, "--image", "any", "--layout", "CHW")
    assert (any_size.exit_code, "only the mode can be chosen" in any_size.stderr) == (2, True)
