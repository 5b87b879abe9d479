"""MLflow's own scoring client gets the predictions of POST /predict from a running stack that asks for keys.

The client cannot name a model, so the stack has one only, which answers by default; a key is a part of the
address.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pandas as pd
import pytest
from pydantic import SecretStr
from tritonclient.http import InferenceServerClient
from tritonclient.http.auth import BasicAuth
from tritonclient.utils import InferenceServerException

from base.database import Database
from base.settings import Settings
from models.adding import NewVersion
from models.registry import Registry
from rowmill.stack import Stack
from tests.e2e.conftest import Example

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]  # importing the client takes long

KEY = "a-key-for-tests-" + "k" * 24


@pytest.fixture(scope="module")
def mixed_url(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Iterator[str]:
    """A stack with one model, which asks for keys."""
    folder = tmp_path_factory.mktemp("mlflow")
    keyed = Settings(data_dir=folder, port=0, flower_port=0, require_keys=True, admin_key=SecretStr(KEY))
    with Stack(keyed) as running:
        database = Database(running.settings.database_url)
        new = NewVersion(
            "mixed", trained / "mixed.joblib", sample=trained / "mixed.sample.csv", targets=("cultivar",)
        )
        Registry(database, running.settings.data_dir / "models").add(new)
        database.dispose()
        yield running.url


@pytest.fixture(scope="module")
def mlflow(mixed_url: str) -> Any:
    """The client, once it found the server ready by its own means."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.pyfunc.scoring_server.client import (  # noqa: PLC0415 - it warns when it is imported
            ScoringServerClient,
        )
    address = urlsplit(mixed_url)
    client = ScoringServerClient(f"me:{KEY}@{address.hostname}", address.port)
    client.wait_server_ready(timeout=60)
    return client


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """As JSON has them: null for a gap."""
    found: list[dict[str, Any]] = json.loads(rows.to_json(orient="records", double_precision=15))
    return found


def predicted(url: str, rows: pd.DataFrame) -> list[str]:
    """What POST /predict says of the same rows."""
    answer = httpx.post(
        f"{url}/predict", json={"instances": records(rows)}, headers={"X-API-Key": KEY}, timeout=60
    )
    return [each["prediction"] for each in answer.raise_for_status().json()["predictions"]]


def test_a_frame_with_gaps(mlflow: Any, mixed_url: str, examples: dict[str, Example]) -> None:
    rows = examples["mixed"].rows.head(30)
    assert rows.isna().to_numpy().any()
    found = mlflow.invoke(rows, params={"ignored": True}).get_predictions()
    assert found[0].tolist() == predicted(mixed_url, rows)


def test_an_array_a_list_and_json(mlflow: Any, mixed_url: str, examples: dict[str, Example]) -> None:
    rows = examples["mixed"].rows.dropna().head(10)
    expected = predicted(mixed_url, rows)
    text = json.dumps({"dataframe_records": records(rows)})
    for sent in (rows.to_numpy(), records(rows), text):
        assert mlflow.invoke(sent).get_predictions("ndarray").tolist() == expected


def test_the_version_is_told(mlflow: Any, mixed_url: str) -> None:
    assert mlflow.get_version() == httpx.get(f"{mixed_url}/health").json()["version"]


def test_tritons_client_shows_a_key_too(mixed_url: str) -> None:
    with InferenceServerClient(mixed_url.removeprefix("http://")) as client:
        assert client.is_server_ready()
        assert not client.is_model_ready("mixed")
        with pytest.raises(InferenceServerException, match="API key"):
            client.get_model_metadata("mixed")
        assert client.is_model_ready("mixed", headers={"Authorization": f"Bearer {KEY}"})
        client.register_plugin(BasicAuth("me", KEY))
        assert client.get_model_metadata("mixed")["name"] == "mixed"


def test_a_refusal_reaches_the_user_of_the_client(mlflow: Any, examples: dict[str, Example]) -> None:
    rows = examples["mixed"].rows.head(1).rename(columns={"alcohol": "alcohl"})
    with pytest.raises(Exception, match=r"error code 400, response: .*BAD_REQUEST.*did you mean 'alcohl'"):
        mlflow.invoke(rows)
