"""docs/http.md names every route with its methods, every error code that has a status, and every option."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask

from api import create_app
from api.errors import STATUSES
from jobs.options import Options

PAGE = (Path(__file__).parents[3] / "docs" / "http.md").read_text()
CALL = re.compile(r"`((?:[A-Z]+, )*[A-Z]+) (/[^`?]*)[^`]*`")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROWMILL_DATA_DIR", str(tmp_path_factory.mktemp("http-page")))
        return create_app()


def test_every_route_is_on_the_page_and_none_that_is_not_there(app: Flask) -> None:
    described = {(method, path) for methods, path in CALL.findall(PAGE) for method in methods.split(", ")}
    there = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"<\1>", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "static"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert described - {call for call in described if call[0] == "HEAD"} == there


@pytest.mark.parametrize(("code", "status"), STATUSES.items())
def test_every_code_is_on_the_page_with_its_status(code: str, status: int) -> None:
    assert re.search(rf"^\| {status} \|.*`{code}`", PAGE, re.MULTILINE), f"{code} is a {status}"


@pytest.mark.parametrize("option", Options.model_fields)
def test_every_option_is_on_the_page(option: str) -> None:
    assert re.search(rf"^\|[^|]*`{option}`[^|]*\|", PAGE, re.MULTILINE)
