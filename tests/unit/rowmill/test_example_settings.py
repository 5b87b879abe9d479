"""`.env.example` shows every setting with its default, and nothing else but what docker-compose.yml wants."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import SecretStr

from base.settings import Settings

ROOT = Path(__file__).parents[3]
# What docker-compose.yml sets, or gives to one container alone.
COMPOSES_OWN = {
    f"ROWMILL_{name}"
    for name in (
        *("DATA_DIR", "DATABASE_URL", "REDIS_URL", "URL", "HOST", "PORT", "FLOWER_HOST", "FLOWER_PORT"),
        *("FLOWER_PASSWORD", "ADMIN_KEY", "ADMIN_KEY_FILE", "API_KEY"),
    )
}
COMPOSE_ONLY = {"POSTGRES_PASSWORD", "REDIS_PASSWORD"}


def test_each_setting_with_its_default() -> None:
    lines = re.findall(r"^# ([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    shown = {name: value for name, value in lines if name not in COMPOSE_ONLY}
    assert shown == {f"ROWMILL_{name.upper()}": default_of(name) for name in Settings.model_fields}
    assert dict(lines).keys() >= COMPOSE_ONLY


def test_compose_passes_every_setting_on_but_its_own() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    passed_on = set(re.findall(r"^    (ROWMILL_[A-Z_]+):$", text, re.MULTILINE))
    assert passed_on == {f"ROWMILL_{name.upper()}" for name in Settings.model_fields} - COMPOSES_OWN


def default_of(name: str) -> str:
    default = Settings.model_fields[name].default
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    return str(default).replace(str(Path.home()), "~")
