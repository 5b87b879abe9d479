"""JSON Web Tokens: whose they are, and every way in which one is not valid."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from pydantic import ValidationError
from werkzeug.test import EnvironBuilder

from api.auth import Door
from base.access.callers import Caller, Role
from base.access.errors import AccessRefused
from base.access.tokens import Tokens
from base.database import Database
from base.settings import Settings

RSA_KEY = rsa.generate_private_key(65537, 2048)
KEYS: dict[str, Any] = {
    "RS256": RSA_KEY,
    "PS512": RSA_KEY,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
ISSUER = "https://login.example.org"
OTHER = rsa.generate_private_key(65537, 2048)


def pem(key: Any) -> bytes:
    made: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return made


def tokens(folder: Path, key: Any = RSA_KEY, **settings: Any) -> Tokens:
    (folder / "key.pem").write_bytes(pem(key))
    given = {"jwt_public_key_file": str(folder / "key.pem"), "jwt_audience": "rowmill", **settings}
    return Tokens(Settings(**given))


def claims(**changes: Any) -> dict[str, Any]:
    usual = {"sub": "alice", "role": "submit", "aud": "rowmill", "iss": ISSUER, "exp": time.time() + 172_800}
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def signed(key: Any = RSA_KEY, algorithm: str = "RS256", headers: Any = None, **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm, headers)


def raw(header: bytes, payload: bytes, secret: bytes) -> str:
    """A token as no library would make it."""
    parts = [base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, payload)]
    mac = hmac.digest(secret, b".".join(parts), hashlib.sha256)
    return b".".join([*parts, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_token_lets_its_owner_in(tmp_path: Path, algorithm: str) -> None:
    key = KEYS[algorithm]
    assert tokens(tmp_path, key).find(signed(key, algorithm)) == Caller("alice", Role.SUBMIT)


@pytest.mark.parametrize(
    "token",
    [
        signed(OTHER),
        signed(exp=time.time() - 60),
        signed(exp=None),
        signed(aud="another-service"),
        signed(aud=None),
        signed(nbf=time.time() + 86_400),
        signed(iss="https://evil.example"),
        signed(sub=None),
        signed(sub="*"),
        signed(sub="a b"),
        signed(sub="x" * 129),
        signed(KEYS["ES256"], "ES256"),
        jwt.encode(claims(), "", "none"),
        raw(b'{"alg": "HS256", "typ": "JWT"}', json.dumps(claims()).encode(), pem(RSA_KEY)),
        raw(
            b'{"alg": "HS256", "x5c": 1, "jwk": {"kty": "oct", "k": "AA"}}',
            json.dumps(claims()).encode(),
            b"\0",
        ),
        raw(b"[" * 5000, b"{}", b""),
        raw(b"{", b"{}", b""),
        raw(b'{"alg": "RS256", "kid": ["a"]}', b"{}", b""),
        signed()[:-6] + "AAAAAA",
        "a.b.c",
        "..",
        "é.é.é",
    ],
    ids=lambda token: token[:8],
)
def test_what_is_not_valid_lets_nobody_in(tmp_path: Path, token: str) -> None:
    assert tokens(tmp_path, jwt_issuer="https://login.example.org").find(token) is None
    assert tokens(tmp_path, jwt_issuer="https://login.example.org").find(
        signed(iss="https://login.example.org")
    )


@pytest.mark.parametrize(
    ("claim", "role"),
    [
        ("read", Role.READ),
        (["read", "other", "admin"], Role.ADMIN),
        ("openid read submit", Role.SUBMIT),
        ("ADMIN", None),
        ([], None),
        (7, None),
        (None, None),
    ],
)
def test_the_role_is_the_highest_that_is_named(tmp_path: Path, claim: Any, role: Role | None) -> None:
    found = tokens(tmp_path, jwt_role_claim="scope", jwt_owner_claim="email")
    token = signed(role="admin", scope=claim, email="al@example.org")
    if role:
        assert found.find(token) == Caller("al@example.org", role)
    else:
        with pytest.raises(AccessRefused, match="'scope' of the token names none"):
            found.find(token)


def test_a_key_set_is_chosen_from_by_id(tmp_path: Path) -> None:
    first, second = KEYS["RS256"], KEYS["ES256"]
    listed = [
        jwt.algorithms.RSAAlgorithm.to_jwk(first.public_key(), as_dict=True) | {"kid": "1", "use": "sig"},
        jwt.algorithms.ECAlgorithm.to_jwk(second.public_key(), as_dict=True) | {"kid": "2"},
        {"kty": "oct", "k": "AAAA", "use": "enc"},
    ]
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": listed}))
    found = Tokens(Settings(jwt_jwks_file=str(file), jwt_audience="rowmill"))
    assert found.find(signed(first, headers={"kid": "1"}))
    assert found.find(signed(second, "ES256", {"kid": "2"}))
    for wrong in (signed(first), signed(first, headers={"kid": "2"}), signed(first, headers={"kid": "3"})):
        assert found.find(wrong) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        '{"keys": []}',
        '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}',
        json.dumps({"keys": [json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY))]}),
        json.dumps({"keys": [jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True)] * 2}),
        "[1]",
    ],
    ids=["empty", "no keys", "none", "symmetric", "private", "same id", "list"],
)
def test_a_file_without_public_keys_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "keys"
    file.write_text(content)
    for setting in ("jwt_jwks_file", "jwt_public_key_file"):
        with pytest.raises(ValueError, match="keys"):
            Tokens(Settings(**{setting: str(file), "jwt_audience": "rowmill"}))  # type: ignore[arg-type]


def test_settings_that_open_too_much_are_refused() -> None:
    with pytest.raises(ValidationError, match="ROWMILL_JWT_AUDIENCE"):
        Settings(jwt_jwks_file="keys.json")
    with pytest.raises(ValidationError, match="not both"):
        Settings(jwt_jwks_file="a", jwt_public_key_file="b", jwt_audience="c")


def test_the_door_takes_tokens_beside_keys(tmp_path: Path) -> None:
    tokens(tmp_path)
    settings = Settings(
        require_keys=True, jwt_public_key_file=str(tmp_path / "key.pem"), jwt_audience="rowmill"
    )
    door = Door(settings)
    database = Database(f"sqlite:///{tmp_path / 'rowmill.db'}")  # without tables: tokens need none

    def admitted(token: str) -> Caller:
        environ = EnvironBuilder("/jobs", headers=[("Authorization", f"Bearer {token}")]).get_environ()
        return door.admit(environ, database)

    for _ in range(2):
        assert admitted(signed()).owner == "alice"
    with pytest.raises(AccessRefused) as refused:
        admitted(signed(OTHER))
    assert refused.value.code == "invalid_key"
    with pytest.raises(AccessRefused) as refused:
        admitted(signed(role="king"))
    assert refused.value.code == "forbidden"
