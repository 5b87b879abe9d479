"""What is told to one caller is kept by no cache that others ask."""

from __future__ import annotations

import re

from apiflask import APIFlask


def test_no_answer_may_be_kept_for_others(shared_app: APIFlask) -> None:
    client = shared_app.test_client()
    found = {}
    for rule in shared_app.url_map.iter_rules():
        for method in {"GET", "HEAD"} & (rule.methods or set()):
            path = re.sub("<[^>]*>", "wine", rule.rule)
            answer = client.open(path, method=method, buffered=True)
            found[method, path] = answer.cache_control
            answer.close()
    found["GET", "/nowhere"] = client.get("/nowhere").cache_control
    del found["GET", "/static/wine"], found["HEAD", "/static/wine"]
    assert len(found) > 40
    assert {place for place, said in found.items() if not (said.private or said.no_store)} == set()


def test_style_sheets_are_kept_by_whoever_wants(shared_app: APIFlask) -> None:
    answer = shared_app.test_client().get("/static/rowmill.css", buffered=True)
    answer.close()
    assert answer.status_code == 200
    assert not answer.cache_control.no_store
