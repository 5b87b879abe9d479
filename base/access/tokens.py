"""JSON Web Tokens of an issuer of the operator's own, beside API keys; needs the extra ``rowmill[jwt]``.

Which algorithms a token may use follows from the kind of the key that verifies it, never from the token: one
that names `none`, or HS256 with the text of a public key as its secret, is refused. Keys are read once.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from base.access.callers import Caller, Role
from base.access.errors import AccessRefused
from base.database.tables import EVERYBODY
from base.settings import Settings

# Clocks of issuers are not ours.
LEEWAY_SECONDS = 30
_OWNER = re.compile(r"[!-~]{1,128}")
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}


@dataclass(frozen=True)
class Verifier:
    """A public key, and the algorithms that belong to its kind."""

    key: Any
    algorithms: tuple[str, ...]

    @classmethod
    def of(cls, key: object) -> Self:
        """Raises ``ValueError`` for what is no public key: a token that it verifies could be made with it."""
        if isinstance(key, rsa.RSAPublicKey):
            return cls(key, _RSA)
        if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
            return cls(key, _CURVES[key.curve.name])
        if isinstance(key, ed25519.Ed25519PublicKey):
            return cls(key, ("EdDSA",))
        raise ValueError(
            f"a key of the kind {type(key).__name__} verifies no tokens; give a public RSA, EC or Ed25519 key"
        )


class Tokens:
    """Callers by their tokens."""

    def __init__(self, settings: Settings) -> None:
        """Raises ``ValueError`` or ``OSError`` if the keys cannot be read, with the file in the text."""
        self._keys = _keys_of(settings)
        self._audience = settings.jwt_audience
        self._issuer = settings.jwt_issuer or None
        self._owner_claim = settings.jwt_owner_claim
        self._role_claim = settings.jwt_role_claim

    def find(self, text: str) -> Caller | None:
        """Whose token ``text`` is; None for one that is not valid.

        Raises ``AccessRefused`` (``forbidden``) for a valid one that names no role.
        """
        try:
            verifier = self._verifier(jwt.get_unverified_header(text).get("kid"))
            claims = verifier and jwt.decode(
                text,
                verifier.key,
                algorithms=verifier.algorithms,
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp"]},
            )
        except jwt.PyJWTError:
            return None
        owner = claims.get(self._owner_claim) if claims else None
        if not isinstance(owner, str) or not _OWNER.fullmatch(owner) or owner == EVERYBODY:
            return None
        return Caller(owner, self._role((claims or {}).get(self._role_claim)))

    def _verifier(self, key_id: object) -> Verifier | None:
        if len(self._keys) == 1 and (key_id is None or None in self._keys):
            return next(iter(self._keys.values()))
        return self._keys.get(key_id) if isinstance(key_id, str) else None

    def _role(self, claim: object) -> Role:
        """The highest role that the claim names: a word, several in one text, or a list."""
        words = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else []
        roles = [role for role in Role if role in words]
        if not roles:
            raise AccessRefused(
                "forbidden", f"The claim {self._role_claim!r} of the token names none of {', '.join(Role)}."
            )
        return roles[-1]


def _keys_of(settings: Settings) -> dict[str | None, Verifier]:
    """Keys by their id; a single key without one, as PEM has it, under None."""
    name = settings.jwt_public_key_file or settings.jwt_jwks_file
    content = Path(name).read_bytes()
    try:
        if settings.jwt_public_key_file:
            return {None: Verifier.of(load_pem_public_key(content))}
        listed = [key for key in json.loads(content)["keys"] if key.get("use", "sig") == "sig"]
        found = {key.get("kid"): Verifier.of(jwt.PyJWK(key).key) for key in listed}
    except (ValueError, TypeError, KeyError, AttributeError, jwt.PyJWTError) as error:
        raise ValueError(f"{name} holds no keys that can be used: {error}") from error
    if len(found) < len(listed) or not found:
        raise ValueError(f"{name} must hold keys with different ids (kid), and one at least")
    return found
