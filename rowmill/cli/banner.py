"""What `rowmill up` says when the stack is ready: where everything is, and what to type next."""

from __future__ import annotations

import shlex

from base.database import Database
from base.settings import Settings
from base.urls import without_password
from models.registry import Registry
from rowmill.stack import Stack

KEYS_OFF = "not asked for: whoever can log in to this machine may do everything"
NO_MODELS = "none yet: rowmill models add NAME FILE --sample FILE"


def banner(stack: Stack) -> str:
    """The lines to print; the last one says that the stack is ready."""
    settings = stack.settings
    lines = [
        f"  API      {stack.url}",
        f"  Flower   {stack.flower_url}",
        f"  Data     {settings.data_dir}",
        f"  Logs     {stack.log('api').parent}",
        f"  Workers  {settings.workers} processes",
        f"  Models   {', '.join(_models(settings)) or NO_MODELS}",
        f"  Keys     {'asked for; `rowmill keys ls`' if settings.asks_for_keys else KEYS_OFF}",
    ]
    if exports := _exports(settings):
        lines.append(f"  In other terminals: {exports}")
    return "\n".join([*lines, "Rowmill is ready. Ctrl-C stops it."])


def _models(settings: Settings) -> list[str]:
    database = Database(settings.database_url)
    found = Registry(database, settings.data_dir / "models").list()
    database.dispose()
    return [f"{manifest.name}@{manifest.version}" for manifest in found]


def _exports(settings: Settings) -> str:
    """What another terminal needs to meet this stack, where that is not the default."""
    usual = {name: str(Settings.model_fields[name].default) for name in ("url", "data_dir")}
    usual["database_url"] = f"sqlite:///{settings.data_dir / 'rowmill.db'}"
    values = [
        f"ROWMILL_{name.upper()}={shlex.quote(without_password(str(getattr(settings, name))))}"
        for name, default in usual.items()
        if str(getattr(settings, name)) != default
    ]
    return f"export {' '.join(values)}" if values else ""
