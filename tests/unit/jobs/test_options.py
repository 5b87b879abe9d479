from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import Problem
from jobs.options import Options, allowed_failures, parse_options


def test_text_becomes_values() -> None:
    given_text = {
        "model": "wine@3",
        "tags": "march, eu",
        "keep": "id,region",
        "outputs": "confidence",
        "max_row_errors": "1.5%",
        "chunk_rows": "5000",
        "ttl": "2d",
        "deadline": "90",
        "dry_run": "1",
        "delimiter": "tab",
        "header": "none",
        "null_values": "-,?",
    }
    options = parse_options(given_text)
    assert options.tags == ["march", "eu"]
    assert options.keep == ["id", "region"]
    assert (options.ttl, options.deadline, options.chunk_rows) == (172800, 90, 5000)
    assert (options.dry_run, options.header, options.delimiter) == (True, False, "\t")
    assert options.csv().null_values == ("-", "?")


@pytest.mark.parametrize(
    ("name", "value", "code", "said"),
    [
        ("modle", "wine", "unknown_option", "did you mean 'model'"),
        ("zzz", "1", "unknown_option", "known options"),
        ("chunk_rows", "0", "bad_option", "greater than or equal to 1"),
        ("chunk_rows", "many", "bad_option", "'many'"),
        ("max_row_errors", "-1", "bad_option", "count of rows"),
        ("max_row_errors", "101%", "bad_option", "count of rows"),
        ("on_error", "skip", "bad_option", "'null' or 'fail'"),
        ("outputs", "shap", "bad_option", "confidence"),
        ("delimiter", "x", "bad_option", "'x'"),
        ("header", "maybe", "bad_option", "maybe"),
        ("ttl", "0", "bad_option", "greater than 0"),
        ("ttl", "nan", "bad_option", "ttl"),
        ("ttl", "soon", "bad_option", "soon"),
    ],
)
def test_a_wrong_option_is_named_with_its_value(name: str, value: str, code: str, said: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_options({name: value})
    assert refused.value.code == code
    assert said in refused.value.message
    assert refused.value.errors[0]["option"] == name


@given(st.dictionaries(st.sampled_from([*Options.model_fields, "other"]), st.text(max_size=20), max_size=4))
def test_any_text_is_either_taken_or_refused(given_text: dict[str, str]) -> None:
    with contextlib.suppress(Problem):  # anything else that it raises is a bug
        assert isinstance(parse_options(given_text), Options)


@pytest.mark.parametrize(
    ("limit", "rows", "allowed"),
    [
        (None, 10, None),
        ("3", None, 3),
        ("10%", None, None),
        ("10%", 100, 10),
        ("0.5%", 100, 0),
        ("100%", 7, 7),
    ],
)
def test_shares_are_judged_once_the_total_is_known(limit: str, rows: int, allowed: int) -> None:
    assert allowed_failures(limit, rows) == allowed
