"""What the API says of itself, made from the code: `/openapi.json` for programs, `/docs` for people."""

from __future__ import annotations

from typing import Any, cast

from apiflask import APIBlueprint, APIFlask
from flask import Response, current_app, json, make_response, render_template, request

from api.headers import CONTENT_POLICY

blueprint = APIBlueprint("documents", __name__, enable_openapi=False)


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """OpenAPI 3.1, for the address that the client knows."""
    document = {**_document(), "servers": [{"url": request.script_root or "/"}]}
    return Response(json.dumps(document, sort_keys=False) + "\n", mimetype="application/json")


@blueprint.get("/docs")
def docs() -> Response:
    """The same document as a page, without any script."""
    document = _document()
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation["tags"][0], []).append(_shown(method, path, operation))
    page = make_response(
        render_template("docs.html", groups=groups, description=document["info"]["description"])
    )
    page.headers["Content-Security-Policy"] = CONTENT_POLICY
    page.headers["Cache-Control"] = "private, no-cache"
    return page


def _shown(method: str, path: str, operation: dict[str, Any]) -> dict[str, Any]:
    return {
        "method": method.upper(),
        "path": path,
        "summary": operation["summary"],
        "description": operation.get("description", ""),
        "parameters": operation.get("parameters", []),
        "body": list(operation.get("requestBody", {}).get("content", {})),
        "responses": dict(sorted(operation["responses"].items())),
    }


def _document() -> dict[str, Any]:
    """Made once: it is the same for everybody but for the address."""
    app = cast(APIFlask, current_app)
    made: dict[str, Any] | None = app.extensions.get("openapi_document")
    if made is None:
        made = app.extensions["openapi_document"] = cast(dict[str, Any], app.spec)
    return made
