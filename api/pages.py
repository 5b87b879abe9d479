"""Pages for people: plain HTML from templates, no script, nothing from other hosts. Programs get JSON."""

from __future__ import annotations

import json
import shlex
from typing import Any

from apiflask import APIBlueprint
from flask import Response, current_app, jsonify, make_response, render_template, request, url_for

from api.context import caller, scope, workshop
from api.headers import CONTENT_POLICY
from api.model_routes import summaries
from api.presenting import links, timestamp
from base.access.callers import LOCAL
from jobs import reading
from jobs.records import Job
from models.manifest import Manifest

blueprint = APIBlueprint("pages", __name__, tag="Start")

RECENT_JOBS = 10
# A longer row makes no line that anybody would copy.
MAX_EXAMPLE_COLUMNS = 30
MAX_EXAMPLE_TEXT = 100


@blueprint.get("/")
@blueprint.doc(summary="Where to begin", responses={200: "Models, recent jobs and links; HTML for a browser"})
def home() -> Response:
    """JSON, unless the client prefers HTML."""
    content = _content()
    if prefers_html():
        answer = make_response(render_template("home.html", **content))
        answer.headers["Content-Security-Policy"] = CONTENT_POLICY
    else:
        answer = jsonify(content)
    answer.vary.add("Accept")
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer


def prefers_html() -> bool:
    """Whether HTML was asked for by name: curl's ``*/*`` gets JSON."""
    accepted = request.accept_mimetypes
    return accepted.quality("text/html") > accepted.quality("application/json")


def _content() -> dict[str, Any]:
    shop = workshop()
    models = summaries()
    recent = reading.list_jobs(
        shop.database, scope(), status=None, model=None, tag=None, before=None, limit=RECENT_JOBS
    )
    return {
        "name": "Rowmill",
        "version": current_app.version,  # type: ignore[attr-defined]  # APIFlask has it
        "models": models,
        "jobs": [_job(job) for job in recent],
        "commands": _with_key(_commands(_shown_model(models))) if models else _first_command(),
        "links": {
            "models": url_for("models.index"),
            "jobs": url_for("jobs.index"),
            "docs": url_for("documents.docs"),
            "openapi": url_for("documents.openapi"),
            "stats": url_for("stats.stats"),
            "health": url_for("health.healthz"),
            "ready": url_for("health.readyz"),
            "ready_for_jobs": url_for("health.readyz") + "?for=jobs",
        },
    }


def _job(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": job.name,
        "status": job.status,
        "model": f"{job.model_name}@{job.model_version}",
        "rows": {"total": job.rows_total, "done": job.rows_done, "failed": job.rows_failed},
        "created_at": timestamp(job.created_at),
        "links": links(job),
    }


def _shown_model(models: list[dict[str, Any]]) -> Manifest:
    """The default model if it is one of them, else one of tables, which most people have."""
    shop = workshop()
    names = [model["name"] for model in models]
    tables = [model["name"] for model in models if model["input"] == "table"]
    default = shop.settings.default_model.partition("@")[0]
    return shop.registry.resolve(default if default in names else (tables or names)[0])


def _first_command() -> dict[str, str]:
    return {"add_a_model": "rowmill models add wine wine.joblib --sample train.csv"}


def _with_key(lines: dict[str, str]) -> dict[str, str]:
    """The same lines where a key is asked for; the user's shell fills it in."""
    if caller() is LOCAL:
        return lines
    showing = 'curl -H "Authorization: Bearer $ROWMILL_API_KEY" '
    return {title: showing + line.removeprefix("curl ") for title, line in lines.items()}


def _commands(manifest: Manifest) -> dict[str, str]:
    """Lines to paste into a shell as they stand, on this host and a model that exists."""
    submit = url_for("jobs.submit", model=manifest.name, _external=True)
    predict = url_for("predict.predict", _external=True)
    if manifest.signature.kind == "image":
        form = ["curl", "-F", f"model={manifest.name}", "-F", "image=@picture.png", predict]
        return {"score_a_file": shlex.join(["curl", "-T", "images.zip", submit]), "predict": shlex.join(form)}
    if manifest.signature.kind == "text":
        text = (manifest.example or {}).get(manifest.signature.names[0], "")
        body = json.dumps({"model": manifest.name, "text": text[:MAX_EXAMPLE_TEXT]}, ensure_ascii=False)
        submitted = shlex.join(["curl", "-T", "texts.csv", submit])
        return {"score_a_file": submitted, "predict": shlex.join(["curl", "-d", body, predict])}
    commands = {"score_a_file": shlex.join(["curl", "-T", "data.csv", submit])}
    if manifest.example and len(manifest.example) <= MAX_EXAMPLE_COLUMNS:
        body = json.dumps({"model": manifest.name, "features": manifest.example}, ensure_ascii=False)
        commands["predict"] = shlex.join(["curl", "-d", body, predict])
    return commands
