"""Names and references."""

from __future__ import annotations

import pytest

from models.errors import ModelError
from models.names import Reference, check_alias, check_name, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("wine", Reference("wine", None, None)),
        ("wine@3", Reference("wine", 3, None)),
        ("wine@production", Reference("wine", None, "production")),
        ("2024-churn_v2@a1", Reference("2024-churn_v2", None, "a1")),
    ],
)
def test_a_reference_is_a_name_with_a_version_or_an_alias(text: str, expected: Reference) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "@3", "Wine", "wine@", "wine@3a", "wine@-1", "wine@Prod", "../x", "a b", "wine\n", "w" * 101]
)
def test_anything_else_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(ModelError) as refused:
        parse(text)
    assert refused.value.code == "invalid_reference"


@pytest.mark.parametrize("name", ["-a", "_a", "A", "a/b", ".", "é"])
def test_a_model_name_is_safe_as_a_folder_name(name: str) -> None:
    with pytest.raises(ModelError, match="not a model name"):
        check_name(name)


def test_an_alias_cannot_look_like_a_version() -> None:
    assert check_alias("production") == "production"
    with pytest.raises(ModelError, match="starts with a lower-case letter"):
        check_alias("3rd")
