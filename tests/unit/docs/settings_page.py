"""The table of docs/settings.md as the settings themselves have it; run this file to write it anew."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from base.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"
HEAD = "| setting | default | what it is |\n|---|---|---|\n"


def table() -> str:
    """One row a setting, in the order of the code."""
    return HEAD + "".join(f"{_row(name, field)}\n" for name, field in Settings.model_fields.items())


def _row(name: str, field: FieldInfo) -> str:
    default = field.default
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if isinstance(default, Path):
        default = f"~/{default.relative_to(Path.home())}"
    shown = f"`{default}`" if str(default) else "empty"
    return f"| `ROWMILL_{name.upper()}` | {shown} | {field.description} |"


def with_table(page: str) -> str:
    """The page with its table replaced by the present one."""
    return re.sub(rf"{re.escape(HEAD)}(?:\|.*\n)*", lambda _: table(), page)


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
