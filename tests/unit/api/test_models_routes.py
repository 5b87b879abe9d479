"""GET /models and /models/<reference>."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sklearn.datasets import load_wine
from sqlalchemy import select, update

from base.database import Database
from base.database.tables import versions
from tests.unit.api.conftest import Client, MakeApp, own_copy


def test_the_list_is_about_what_plain_names_mean(client: Client) -> None:
    models = {model["name"]: model for model in client.get("/models").json["models"]}
    assert list(models) == ["churn", "diabetes", "digits", "flowers", "moods", "positive", "wine"]
    wine = models["wine"]
    assert (wine["version"], wine["versions"], wine["aliases"]) == (1, [1, 2], {"production": 1})
    assert wine["classes"] == ["barbera", "barolo", "grignolino"]
    assert wine["columns"] == load_wine().feature_names
    assert client.get(wine["links"]["self"]).json["version"] == 1
    assert models["digits"]["input"] == "image"
    assert models["digits"]["image"]["high"] == 16
    assert wine["image"] is None
    assert models["flowers"]["classes"] == {"species": [0, 1, 2], "later": [0, 1]}
    assert models["diabetes"]["classes"] is None


@pytest.mark.parametrize("reference", ["wine", "wine@1", "wine@production"])
def test_a_model_by_name_version_or_alias(client: Client, reference: str) -> None:
    model = client.get(f"/models/{reference}").json
    assert (model["name"], model["version"], model["task"]) == ("wine", 1, "classification")
    assert model["estimator"] == "sklearn.linear_model._logistic.LogisticRegression"
    assert [output["name"] for output in model["outputs"]] == [
        "prediction",
        "probability_barbera",
        "probability_barolo",
        "probability_grignolino",
    ]
    assert model["parameters"]["logisticregression__C"] == 1.0
    assert set(model["coefficients"]) == set(model["classes"])
    assert model["importances"] is None
    assert model["libraries"]["scikit-learn"]
    assert model["row_cost_seconds"] > 0
    assert (model["versions"], model["aliases"], model["warnings"]) == ([1, 2], {"production": 1}, [])


def test_a_forest_has_importances_of_every_column(client: Client) -> None:
    model = client.get("/models/wine@2").json
    assert set(model["importances"]) == {column["name"] for column in model["signature"]["columns"]}
    assert sum(model["importances"].values()) == pytest.approx(1)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("name", ["wine", "diabetes", "churn", "positive", "flowers"])
def test_the_example_can_be_sent_as_it_stands(client: Client, name: str) -> None:
    model = client.get(f"/models/{name}").json
    answer = client.post(model["links"]["predict"], json={"features": model["example"]})
    assert answer.status_code == 200
    assert answer.json["model"] == {"name": name, "version": model["version"]}


@pytest.mark.parametrize(
    ("reference", "status", "code", "said"),
    [
        ("wien", 404, "unknown_model", "did you mean wine?"),
        ("wine@7", 404, "unknown_version", "wine@2"),
        ("wine@canary", 404, "unknown_alias", "production"),
        ("wine@@", 400, "invalid_reference", "wine@3"),
    ],
)
def test_what_there_is_not(client: Client, reference: str, status: int, code: str, said: str) -> None:
    answer = client.get(f"/models/{reference}")
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert said in answer.json["detail"]


def test_a_version_is_described_without_its_files(make_app: MakeApp, stocked: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(stocked, folder)
    for path in (folder / "models" / "diabetes" / "1").iterdir():
        path.write_bytes(b"another")
    client: Client = make_app(folder).test_client()
    model = client.get("/models/diabetes").json
    assert model["coefficients"]
    assert model["warnings"] == []
    refused = client.post("/predict?model=diabetes", json={"features": model["example"]})
    assert (refused.status_code, refused.json["code"]) == (500, "digest_mismatch")


def test_a_version_of_before_has_no_weights_and_says_so(
    make_app: MakeApp, stocked: Path, tmp_path: Path
) -> None:
    database = Database(f"sqlite:///{own_copy(stocked, tmp_path) / 'rowmill.db'}")
    with database.writing() as connection:
        row = (versions.c.name == "diabetes") & (versions.c.version == 1)
        manifest = connection.execute(select(versions.c.manifest).where(row)).scalar_one()
        del manifest["weights"]
        connection.execute(update(versions).where(row).values(manifest=manifest))
    database.dispose()
    client: Client = make_app(tmp_path).test_client()
    model = client.get("/models/diabetes").json
    assert model["coefficients"] is None
    assert "diabetes@1 was added before" in model["warnings"][0]


def test_no_route_takes_a_model(client: Client) -> None:
    assert client.post("/models", data=b"x").status_code == 405
    assert client.put("/models/wine", data=b"x").status_code == 405
