"""``/openapi.json``: the document that the code makes of itself, for the address that the client knows."""

from __future__ import annotations

from typing import Any, cast

from apiflask import APIBlueprint, APIFlask
from flask import Response, current_app, json, request

blueprint = APIBlueprint("documents", __name__, enable_openapi=False)


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """OpenAPI 3.1."""
    document = {**_document(), "servers": [{"url": request.script_root or "/"}]}
    return Response(json.dumps(document, sort_keys=False) + "\n", mimetype="application/json")


def _document() -> dict[str, Any]:
    """Made once: it is the same for everybody but for the address."""
    app = cast(APIFlask, current_app)
    made: dict[str, Any] | None = app.extensions.get("openapi_document")
    if made is None:
        made = app.extensions["openapi_document"] = cast(dict[str, Any], app.spec)
    return made
