"""The body of an inference request: a JSON object, and behind it the binary tensors, if there are some.

Whatever a header or the JSON says of lengths is compared with what arrived, before anything is read by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from api import strict_json
from models.payload import pointer, refused

HEADER = "Inference-Header-Content-Length"


@dataclass(frozen=True)
class RequestedOutput:
    """An output that was asked for; ``binary`` is None where the request as a whole decides."""

    name: str
    binary: bool | None


@dataclass(frozen=True)
class InferRequest:
    """``inputs`` are objects, not looked into yet; ``outputs`` is empty where all are wanted."""

    id: str | None
    inputs: list[dict[str, Any]]
    outputs: list[RequestedOutput]
    binary_output: bool
    binary: memoryview


def parse(body: bytes, header_length: str | None) -> InferRequest:
    """Raises PayloadRefused ``invalid_input``, or ``Problem`` (``bad_json``)."""
    json_part, binary = _split(body, header_length)
    value = strict_json.parse(json_part)
    if not isinstance(value, dict):
        raise refused("", "wrong_type", 'The body must be a JSON object: {"inputs": [{…}]}.')
    request_id = value.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise refused("/id", "wrong_type", "id must be a text.")
    return InferRequest(
        id=request_id,
        inputs=_objects(value, "inputs"),
        outputs=[_output(index, output) for index, output in enumerate(_objects(value, "outputs"))],
        binary_output=_flag(value, "binary_data_output", "") or False,
        binary=memoryview(binary),
    )


def _split(body: bytes, header_length: str | None) -> tuple[bytes, bytes]:
    if header_length is None:
        return body, b""
    digits = header_length.strip()
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18 or int(digits) > len(body):
        text = (
            f"{HEADER} is {digits[:40]!r}, but the body has {len(body)} bytes; it tells how long the JSON is."
        )
        raise refused("", "wrong_length", text)
    return body[: int(digits)], body[int(digits) :]


def _objects(value: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = value.get(key)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise refused(pointer(key), "wrong_type", f"{key} must be a list of objects.")
    return found


def _output(index: int, output: dict[str, Any]) -> RequestedOutput:
    at = pointer("outputs", index)
    if not isinstance(output.get("name"), str):
        raise refused(f"{at}/name", "wrong_type", "An output has a name, which is a text.")
    refuse_extensions(parameters(output, at), at)
    return RequestedOutput(output["name"], _flag(output, "binary_data", at))


def parameters(value: dict[str, Any], at: str) -> dict[str, Any]:
    """The parameters of a request, an input or an output that stands at the pointer ``at``."""
    found = value.get("parameters")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise refused(f"{at}/parameters", "wrong_type", "parameters must be an object.")
    return found


def refuse_extensions(given: dict[str, Any], at: str) -> None:
    """Parameters that would change the answer under an extension that is not spoken here."""
    for name in ("shared_memory_region", "classification"):
        if name in given:
            text = f"{name} belongs to an extension that this server has not; GET /v2 lists those it has."
            raise refused(f"{at}/parameters/{name}", "unknown_option", text)


def _flag(value: dict[str, Any], name: str, at: str) -> bool | None:
    flag = parameters(value, at).get(name)
    if flag is not None and not isinstance(flag, bool):
        raise refused(f"{at}/parameters/{name}", "wrong_type", f"{name} must be true or false.")
    return flag
