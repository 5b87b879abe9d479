"""A stack that asks for API keys needs one that lets somebody in."""

from __future__ import annotations

from base.access.keys import count_live
from base.database import Database
from base.settings import Settings
from rowmill.stack.problem import StackProblem


def require_key(settings: Settings) -> None:
    """Refuse to start a stack that nobody could use. The tables must be there."""
    if settings.asks_for_keys:
        database = Database(settings.database_url)
        try:
            count_keys(settings, database)
        finally:
            database.dispose()


def count_keys(settings: Settings, database: Database) -> int:
    """Keys that let somebody in, that of the setting too. Raises ``StackProblem`` if there is none."""
    count = count_live(database) + bool(settings.admin_key.get_secret_value())
    if settings.takes_tokens:
        _check_tokens(settings)
    elif not count:
        raise StackProblem(
            f"On {settings.host} every request needs an API key, and there is none. "
            "Make one: rowmill keys add admin --role admin. Or set ROWMILL_ADMIN_KEY."
        )
    return count


def _check_tokens(settings: Settings) -> None:
    """Say now what would keep the API from starting."""
    try:
        from base.access.tokens import Tokens  # noqa: PLC0415 - an extra that most stacks do not have

        Tokens(settings)
    except ImportError as error:
        raise StackProblem(f"Tokens need an extra ({error}): pip install 'rowmill[jwt]'") from error
    except (OSError, ValueError) as error:
        raise StackProblem(f"The keys of tokens cannot be used: {error}") from error
