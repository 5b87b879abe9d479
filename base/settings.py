"""The one typed table of settings, and the only reader of the environment.

Every setting is a field below: its name with the prefix ``ROWMILL_`` is the environment variable (or the line
in ``.env``). Other rooms receive plain values; nothing else in Rowmill reads ``os.environ``.
"""

from __future__ import annotations

import difflib
import os
import shlex
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, SettingsConfigDict

from base.access.hosts import is_loopback

MIB = 1 << 20
GIB = 1 << 30
# So many in such a time; several are parted by semicolons.
_RATE = r"[1-9][0-9]{0,8}/(second|minute|hour|day)"
_RATES = rf"^({_RATE}(;{_RATE})*)?$"
_OWNER = r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}"
_OWNERS = rf"^(\*|{_OWNER}(,{_OWNER})*)$"
ADMIN_KEY_LENGTH = 32


class Settings(BaseSettings):
    """Values in effect; an unknown or unparsable one is refused with its name when this is built."""

    model_config = SettingsConfigDict(
        env_prefix="ROWMILL_", env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    data_dir: Path = Field(
        Path.home() / ".rowmill",
        description="Folder that holds inputs, results, models, logs and the database.",
    )
    database_url: str = Field("", description="SQLAlchemy URL; empty means SQLite in the data folder.")
    redis_url: str = Field(
        "", description="Broker URL; empty means the Redis that `rowmill up` starts in the data folder."
    )
    url: str = Field("http://127.0.0.1:8000", description="Server that the command line talks to.")
    host: str = Field("127.0.0.1", description="Address that the API listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port that the API listens on; 0 picks a free one.")
    flower_host: str = Field("127.0.0.1", description="Address that Flower listens on.")
    flower_port: int = Field(
        5555, ge=0, le=65535, description="Port that Flower listens on; 0 picks a free one."
    )
    flower_password: SecretStr = Field(
        SecretStr(""), description="Password for Flower's user `rowmill`; required off loopback."
    )
    workers: int = Field(2, ge=1, le=256, description="Scoring processes; one per core is best.")
    default_model: str = Field("", description="Model used when a request names none; empty: the only model.")
    max_upload_bytes: int = Field(20 * GIB, gt=0, description="Largest request body of a job, as sent.")
    max_decoded_bytes: int = Field(100 * GIB, gt=0, description="Largest input after decompression.")
    max_predict_rows: int = Field(1000, gt=0, description="Most rows that POST /predict answers at once.")
    max_predict_bytes: int = Field(16 * MIB, gt=0, description="Largest body of POST /predict.")
    predict_cache_entries: int = Field(
        0, ge=0, description="Predictions that each API process keeps, to answer the same row again; 0: none."
    )
    predict_cache_bytes: int = Field(64 * MIB, ge=0, description="Most memory that kept predictions take.")
    predict_cache_seconds: float = Field(3600, gt=0, description="How long a prediction is kept.")
    log_predictions: bool = Field(
        False, description="Keep what POST /predict answers, so that true labels can be joined to it."
    )
    prediction_ttl_seconds: float = Field(
        30 * 86400, gt=0, description="How long logged predictions and their labels are kept."
    )
    accuracy_below: float = Field(
        0, ge=0, le=1, description="A version whose accuracy falls below this is told of; 0: none is watched."
    )
    accuracy_owners: str = Field(
        "local",
        pattern=_OWNERS,
        description="Owners whose predictions and jobs count for that: `shop,nightly`; `*`: all.",
    )
    accuracy_command: str = Field(
        "", description="Command that the caretaker calls when one falls; without a shell."
    )
    accuracy_command_seconds: float = Field(600, gt=0, description="How long that command may run.")
    accuracy_window_seconds: float = Field(
        7 * 86400, gt=0, description="Predictions of so long count for what is watched."
    )
    accuracy_labels: int = Field(
        100, ge=1, description="Labels that must be known of them before a version is judged."
    )
    max_chunk_bytes: int = Field(32 * MIB, ge=1024, description="Most input bytes that one chunk may cover.")
    chunk_seconds: float = Field(0.3, gt=0, description="Scoring time that a chunk is cut for.")
    max_chunk_seconds: float = Field(
        1200, ge=1, description="A chunk that runs longer is stuck, and its process is killed."
    )
    max_process_bytes: int = Field(
        0, ge=0, description="Memory of one scoring process; 0: three quarters of the machine's."
    )
    model_cache_bytes: int = Field(
        0,
        ge=0,
        description="Loaded models of one process; 0: its share of half the machine's memory.",
    )
    max_attempts: int = Field(5, ge=1, description="Tries at one chunk, plan or finish before the job fails.")
    lease_seconds: float = Field(
        60, gt=0, description="How long a silent worker keeps its right to a chunk, a silent upload its key."
    )
    heartbeat_seconds: float = Field(10, gt=0, description="How often a worker renews its lease.")
    caretaker_seconds: float = Field(5, gt=0, description="How often the caretaker looks for lost work.")
    retry_seconds: float = Field(
        2, ge=0, le=60, description="Pause before a failed chunk is tried again; doubles, up to a minute."
    )
    result_ttl_seconds: float = Field(7 * 86400, gt=0, description="How long inputs and results are kept.")
    min_free_bytes: int = Field(
        256 * MIB, ge=0, description="Uploads are refused when less disk than this is left."
    )
    require_keys: bool = Field(
        False, description="Ask for API keys on loopback too; off loopback they are always asked for."
    )
    admin_key: SecretStr = Field(
        SecretStr(""), description="A first key, with the role admin; 32 characters or more."
    )
    admin_key_file: str = Field("", description="File that holds the admin key, in place of the key itself.")
    api_key: SecretStr = Field(SecretStr(""), description="Key that the command line shows to the server.")
    quota_open_jobs: int = Field(
        0, ge=0, description="Jobs of one owner that have not ended, where the key says nothing; 0: no limit."
    )
    quota_stored_bytes: int = Field(
        0, ge=0, description="Inputs and results of one owner, where the key says nothing; 0: no limit."
    )
    jwt_public_key_file: str = Field(
        "", description="PEM file with the public key of an issuer whose tokens are taken beside API keys."
    )
    jwt_jwks_file: str = Field("", description="The same with several keys: a JSON Web Key Set.")
    jwt_audience: str = Field("", description="What tokens must name as their audience (`aud`).")
    jwt_issuer: str = Field("", description="What tokens must name as their issuer (`iss`); empty: anything.")
    jwt_owner_claim: str = Field("sub", min_length=1, description="Claim that names the owner.")
    jwt_role_claim: str = Field("role", min_length=1, description="Claim that names the role.")
    allowed_hosts: str = Field(
        "", description="Names that the API answers to besides localhost: `a.example.org,.example.net`."
    )
    allowed_origins: str = Field(
        "", description="Other sites whose pages may change things here: `https://app.example.org`."
    )
    max_open_jobs: int = Field(
        0, ge=0, description="Jobs of all owners that have not ended, beyond which none is accepted; 0: any."
    )
    rate_limit: str = Field(
        "",
        pattern=_RATES,
        description="Most requests of one caller: `20/second;10000/hour`; empty: any number.",
    )
    rate_limit_predict: str = Field(
        "", pattern=_RATES, description="Most predictions that one caller may ask for, counted by requests."
    )
    rate_limit_submit: str = Field(
        "", pattern=_RATES, description="Most jobs that one caller may submit, retry or clone."
    )
    trusted_proxies: int = Field(
        0, ge=0, le=10, description="Proxies in front of the API whose `X-Forwarded-…` headers are believed."
    )
    log_format: str = Field(
        "text", pattern="^(text|json)$", description="`text` for people, `json` for machines."
    )
    log_level: str = Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least severe line that is logged."
    )

    @model_validator(mode="after")
    def _refuse_unknown(self) -> Self:
        """A misspelt variable or line of ``.env`` would otherwise be a setting that has no effect."""
        known = {f"ROWMILL_{name.upper()}" for name in Settings.model_fields}
        in_file = DotEnvSettingsSource(Settings, env_ignore_empty=False).env_vars
        for name in (*os.environ, *map(str.upper, in_file)):
            if name.upper().startswith("ROWMILL_") and name.upper() not in known:
                near = difflib.get_close_matches(name.upper(), known, 1)
                hint = f"did you mean {near[0]}?" if near else "docs/settings.md lists the settings."
                raise ValueError(f"there is no setting {name}; {hint}")
        return self

    @property
    def asks_for_keys(self) -> bool:
        """Whether every request needs an API key."""
        return self.require_keys or not is_loopback(self.host)

    @property
    def takes_tokens(self) -> bool:
        """Whether JSON Web Tokens are taken beside API keys."""
        return bool(self.jwt_public_key_file or self.jwt_jwks_file)

    @model_validator(mode="after")
    def _complete_jwt(self) -> Self:
        """Without an audience, a token that the issuer made for any other service would open this one."""
        if self.takes_tokens and not self.jwt_audience:
            raise ValueError("tokens need ROWMILL_JWT_AUDIENCE too: the name that this service has in them")
        if self.jwt_public_key_file and self.jwt_jwks_file:
            raise ValueError("give ROWMILL_JWT_PUBLIC_KEY_FILE or ROWMILL_JWT_JWKS_FILE, not both")
        for name in ("jwt_public_key_file", "jwt_jwks_file"):
            if given := getattr(self, name):  # processes of a stack run in another folder
                object.__setattr__(self, name, str(Path(given).expanduser().absolute()))
        return self

    @field_validator("admin_key")
    @classmethod
    def _refuse_weak(cls, key: SecretStr) -> SecretStr:
        if 0 < len(key.get_secret_value()) < ADMIN_KEY_LENGTH:
            raise ValueError(f"an admin key has {ADMIN_KEY_LENGTH} characters or more: openssl rand -hex 32")
        return key

    @model_validator(mode="after")
    def _check_accuracy_owners(self) -> Self:
        """With keys, whoever may predict could send labels that call the operator's command."""
        if self.accuracy_below and self.asks_for_keys and "accuracy_owners" not in self.model_fields_set:
            raise ValueError(
                "with API keys, ROWMILL_ACCURACY_BELOW needs ROWMILL_ACCURACY_OWNERS too: whose predictions "
                "count, such as shop,nightly, or * for everybody's"
            )
        return self

    @model_validator(mode="after")
    def _check_accuracy_command(self) -> Self:
        """Shown when a process starts, not when the command is needed."""
        if self.accuracy_command and not self.accuracy_below:
            raise ValueError("ROWMILL_ACCURACY_COMMAND is called below ROWMILL_ACCURACY_BELOW; set that too")
        try:
            words = shlex.split(self.accuracy_command)
        except ValueError as error:
            raise ValueError(f"ROWMILL_ACCURACY_COMMAND cannot be split into words: {error}") from error
        if self.accuracy_command and not words:
            raise ValueError("ROWMILL_ACCURACY_COMMAND is blank; leave it out, or name a program")
        return self

    @model_validator(mode="after")
    def _read_admin_key(self) -> Self:
        """The file is read once: the processes of a stack are told the key itself."""
        if self.admin_key_file and not self.admin_key.get_secret_value():
            try:
                text = Path(self.admin_key_file).expanduser().read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"the file of ROWMILL_ADMIN_KEY_FILE cannot be read: {error}") from error
            object.__setattr__(self, "admin_key", self._refuse_weak(SecretStr(text or " ")))
        return self

    @model_validator(mode="after")
    def _fill_in_data_dir(self) -> Self:
        folder = self.data_dir.expanduser().absolute()
        # frozen guards callers; the derived defaults are part of building the table
        values = {
            "data_dir": folder,
            "database_url": self.database_url or f"sqlite:///{folder / 'rowmill.db'}",
            "redis_url": self.redis_url or f"redis+socket://{folder / 'run' / 'redis.sock'}",
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        return self


def sources() -> dict[str, str]:
    """Where the value of each setting comes from: ``environment``, ``.env`` or ``default``."""
    found = dict.fromkeys(Settings.model_fields, "default")
    found.update(dict.fromkeys(DotEnvSettingsSource(Settings)(), ".env"))
    found.update(dict.fromkeys(EnvSettingsSource(Settings)(), "environment"))
    return {name: found[name] for name in Settings.model_fields}


def environment_of_child(**more: str) -> dict[str, str]:
    """What this process was started with, for a program that it starts, and ``more``."""
    return {**os.environ, **more}
