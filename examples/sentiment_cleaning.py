"""The cleaning step of the sentiment model: a module of its own, so that it can be stored with the model."""

from __future__ import annotations

import re
from collections.abc import Iterable

ADDRESS = re.compile(r"https?://\S+|www\.\S+")
MENTION = re.compile(r"@\w+")
APOSTROPHE = re.compile("['\u2019]")  # "don't" stays one word
# Not all that is no letter: emoji say a lot about the mood.
PUNCTUATION = re.compile("[!-/:-@\\[-`{-~\u2010-\u203a¡¿«»]+")


def cleaned(texts: Iterable[str]) -> list[str]:
    """The texts in lower case without web addresses, mentions and punctuation."""
    return [without_noise(text.lower()) for text in texts]


def without_noise(text: str) -> str:
    text = MENTION.sub(" ", ADDRESS.sub(" ", text))
    return PUNCTUATION.sub(" ", APOSTROPHE.sub("", text))
