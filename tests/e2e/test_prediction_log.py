"""The log of predictions on a real gunicorn: no answer waits for it, and an ordinary end loses nothing."""

from __future__ import annotations

import json
from pathlib import Path

from sqlalchemy import select

from base.database import Database
from base.database.tables import predictions
from tests.builders import AddedModel
from tests.e2e.bare_server import serving
from tests.e2e.test_at_once import ONE_THREAD, plain, slow


def test_logging_waits_for_nobody_and_an_ordinary_end_writes_all(tmp_path: Path, wine: AddedModel) -> None:
    ids = []
    with serving(tmp_path, wine, ONE_THREAD, log_predictions=1) as server:
        assert server.ask(plain())[0] == 200
        with server.connect() as busy:
            busy.sendall(slow())  # the only thread there is
            for _ in range(20):
                status, _, body = server.ask(plain())
                assert status == 200
                ids.append(json.loads(body)["prediction_id"])
    database = Database(f"sqlite:///{tmp_path / 'rowmill.db'}")
    with database.reading() as connection:
        logged = set(connection.execute(select(predictions.c.id)).scalars())
    database.dispose()
    assert set(ids) <= logged
