"""What ``/openapi.json`` says of single routes: parameters, bodies and the shapes of answers.

The routes name their statuses and the library reads their paths; options of jobs are taken from their table.
``predict_docs``, ``mlflow_docs`` and ``v2/docs`` say the same of predictions.
"""

from __future__ import annotations

from typing import Any

from jobs.options import Options
from jobs.states import JobStatus

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
TRUTH: Schema = {"type": "boolean"}
ANYTHING: Schema = {}
MOMENT: Schema = {"type": "string", "format": "date-time"}


def an_object(**properties: Schema) -> Schema:
    """An object that has all these properties."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def list_of(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def by_name(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def ref(name: str) -> Schema:
    """One of the shapes that :data:`SCHEMAS` names."""
    return {"$ref": f"#/components/schemas/{name}"}


LINKS = by_name({"type": "string", "format": "uri-reference"})
_ROWS = an_object(total=or_null(COUNT), done=COUNT, failed=COUNT)
_OUTCOME: Schema = {"type": "object", "description": "`code` and `message`"}

SCHEMAS: dict[str, Schema] = {
    "Job": an_object(
        id=TEXT,
        name=or_null(TEXT),
        owner=TEXT,
        status={"type": "string", "enum": [*JobStatus]},
        done={**TRUTH, "description": "it ended, in whatever way"},
        retry_of=or_null(TEXT),
        model=an_object(name=TEXT, version=COUNT, sha256=TEXT),
        rows=_ROWS,
        chunks=an_object(
            total=or_null(COUNT), pending=COUNT, running=COUNT, done=COUNT, failed=COUNT, retried=COUNT
        ),
        progress={"type": "number", "minimum": 0, "maximum": 1},
        rows_per_second=or_null(NUMBER),
        eta_seconds=or_null(NUMBER),
        created_at=MOMENT,
        started_at=or_null(MOMENT),
        finished_at=or_null(MOMENT),
        expires_at=or_null(MOMENT),
        input=an_object(name=TEXT, format=TEXT, bytes=COUNT, sha256=TEXT),
        result=or_null(an_object(bytes=COUNT, sha256=TEXT)),
        options={"type": "object"},
        error=or_null(_OUTCOME),
        error_counts={"type": ["object", "null"]},
        errors_preview=list_of({"type": "object"}),
        warnings=list_of(TEXT),
        tags=list_of(TEXT),
        links=LINKS,
    ),
    "DryRun": an_object(
        dry_run=TRUTH,
        model=an_object(name=TEXT, version=COUNT, sha256=TEXT),
        format=TEXT,
        columns=list_of(TEXT),
        rows=list_of({"type": "object"}),
        errors=list_of({"type": "object"}),
        warnings=list_of(TEXT),
    ),
    "ModelSummary": an_object(
        name=TEXT,
        version=COUNT,
        task=TEXT,
        estimator=TEXT,
        input={"type": "string", "enum": ["table", "text", "image"]},
        columns=list_of(TEXT),
        image={"type": ["object", "null"]},
        classes={"type": ["array", "object", "null"]},
        created_at=MOMENT,
        versions=list_of(COUNT),
        aliases=by_name(COUNT),
        links=LINKS,
    ),
    "Model": an_object(
        name=TEXT,
        version=COUNT,
        sha256=TEXT,
        created_at=MOMENT,
        task=TEXT,
        estimator=TEXT,
        signature={"type": "object"},
        targets=list_of({"type": "object"}),
        classes={"type": ["array", "object", "null"]},
        has_probabilities=TRUTH,
        outputs=list_of(an_object(name=TEXT, type=TEXT)),
        parameters={"type": ["object", "null"]},
        libraries=by_name(TEXT),
        example={"type": ["object", "null"]},
        row_cost_seconds=or_null(NUMBER),
        versions=list_of(COUNT),
        aliases=by_name(COUNT),
        warnings=list_of(TEXT),
        links=LINKS,
    ),
    "Health": an_object(status=TEXT, model_loaded=TRUTH, version=TEXT, timestamp=MOMENT),
    "Readiness": an_object(status=TEXT, checks=by_name(an_object(ok=TRUTH, detail=or_null(TEXT)))),
    "Start": an_object(
        name=TEXT,
        version=TEXT,
        models=list_of(ref("ModelSummary")),
        jobs=list_of(
            an_object(
                id=TEXT,
                name=or_null(TEXT),
                status=TEXT,
                model=TEXT,
                rows=_ROWS,
                created_at=MOMENT,
                links=LINKS,
            )
        ),
        commands=by_name(TEXT),
        links=LINKS,
    ),
}

_OPTION_TEXTS = {
    "model": "`wine`, `wine@3`, `wine@production`",
    "name": "label of the job",
    "tags": "words to find the job by, separated by commas, 16 at most",
    "keep": "input columns to copy into the result, separated by commas; `*` for all",
    "outputs": "`confidence`: a column with the largest probability",
    "on_error": "`null`: a bad row has no prediction and a code; `fail`: it fails the job",
    "max_row_errors": "fail the job beyond so many bad rows: `100` or `1%`",
    "chunk_rows": "about so many rows in a chunk",
    "ttl": "how long input and result are kept after the end: `3600`, `12h`, `7d`",
    "deadline": "fail the job if it has not ended after so long",
    "dry_run": "check the file, score its first 100 rows, keep nothing",
    "delimiter": "of CSV: `,`, `;`, `|` or `tab`",
    "decimal": "of numbers in CSV",
    "charset": "of a text file, if it is not UTF-8",
    "header": "`none`: the CSV has no header",
    "null_values": "words that mean a missing value, separated by commas",
}
# As they are written in an address, where they are not what the table of options holds.
_WRITTEN: dict[str, Schema] = {
    "delimiter": {"type": "string", "enum": [",", ";", "|", "tab"]},
    "header": {"type": "string", "enum": ["first", "none"]},
    "outputs": {"type": "string", "enum": ["confidence"]},
    "dry_run": {"type": "string", "enum": ["0", "1"]},
    "max_row_errors": {"type": "string", "pattern": "^[0-9]{1,15}$|^[0-9]{1,2}%$"},
    "ttl": {"type": "string", "pattern": "^[1-9][0-9]{0,5}[smhd]?$"},
    "deadline": {"type": "string", "pattern": "^[1-9][0-9]{0,5}[smhd]?$"},
}


def _written(name: str, held: Schema) -> Schema:
    """How the value of an option looks in an address or a form; ``held`` is what the table holds of it."""
    if name in _WRITTEN:
        return _WRITTEN[name]
    one = next((kind for kind in held.get("anyOf", [held]) if kind.get("type") != "null"), held)
    if one.get("type") in ("string", "integer"):
        return {key: one[key] for key in ("type", "enum", "minimum", "maximum", "maxLength") if key in one}
    return TEXT  # lists are written with commas


OPTIONS: dict[str, Schema] = {
    name: _written(name, held) for name, held in Options.model_json_schema()["properties"].items()
}


def _query(name: str, schema: Schema, text: str) -> Schema:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": text}


def _header(name: str, text: str) -> Schema:
    return {"name": name, "in": "header", "required": False, "schema": TEXT, "description": text}


JOB_OPTIONS = [_query(name, schema, _OPTION_TEXTS[name]) for name, schema in OPTIONS.items()]
_ONCE = _header("Idempotency-Key", "one key makes one job, however often it is sent")
_PREFER = _header("Prefer", "`wait=20`: answer when the job has ended, or after so many seconds")
_PARTIAL = _query("partial", {"type": "string", "enum": ["0", "1"]}, "what is scored so far")
_RANGES = [
    _header("Range", "`bytes=0-99`"),
    _header("If-Range", "the ETag that the range is of"),
    _header("If-Match", "the ETag that the result must have"),
    _header("If-None-Match", "304 if the ETag is this"),
]
# By endpoint: what the address and the headers may say.
PARAMETERS: dict[str, list[Schema]] = {
    "jobs.submit": [
        *JOB_OPTIONS,
        _ONCE,
        _PREFER,
        _header("Content-Encoding", "`gzip`, `zstd`, `identity`"),
        _header("Content-Digest", "`sha-256=:…:`, checked"),
        _header("Content-Disposition", "`filename`: the name of the file"),
    ],
    "jobs.index": [
        _query("status", {"type": "string", "enum": [*JobStatus]}, "jobs in this state"),
        _query("model", TEXT, "jobs of `wine` or `wine@3`"),
        _query("tag", TEXT, "jobs with this word"),
        _query("owner", TEXT, "jobs of one owner, for admins"),
        _query("limit", {"type": "integer", "minimum": 1, "maximum": 100}, "so many, 20 if left out"),
        _query("cursor", {"type": "string", "format": "uuid"}, "`next_cursor` of the answer before"),
    ],
    "jobs.show": [
        _query("wait", {"type": "number", "minimum": 0, "maximum": 30}, "seconds to wait for a change"),
        _header("If-None-Match", "304 if nothing has changed"),
    ],
    "again.retry": [*JOB_OPTIONS, _ONCE, _PREFER],
    "again.clone": [*JOB_OPTIONS, _ONCE, _PREFER],
    "links.make": [
        _query("for", {"type": "string", "pattern": "^[1-9][0-9]{0,3}[smhd]$"}, "how long: `12h`")
    ],
    "results.result": [_PARTIAL, *_RANGES],
    "results.parquet": [_PARTIAL, *_RANGES],
    "results.as_csv": [_PARTIAL],
    "results.as_jsonl": [_PARTIAL],
}
_FILE: Schema = {"type": "string", "format": "binary"}
BODIES: dict[str, Schema] = {
    "jobs.submit": {
        "required": True,
        "description": "The file: CSV, JSON Lines, Parquet, a zip or tar of images, plain or compressed. The "
        "format is found by content, whatever the Content-Type says. Or a form.",
        "content": {
            "application/octet-stream": {"schema": _FILE},
            "text/csv": {"schema": TEXT},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": _FILE, "image": list_of(_FILE), **OPTIONS},
                    "anyOf": [{"required": ["file"]}, {"required": ["image"]}],
                }
            },
        },
    }
}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


_PARQUET = {"application/vnd.apache.parquet": {"schema": _FILE}}
_CSV = {"text/csv": {"schema": TEXT}}
_JSONL = {"application/x-ndjson": {"schema": TEXT}}
_PREVIEW = _json(an_object(rows=list_of({"type": "object"}), job=ref("Job")))
# By endpoint and status: what an answer holds. Refusals are described for all routes at once.
ANSWERS: dict[str, dict[str, Schema]] = {
    "jobs.submit": {"200": _json(ref("DryRun")), "202": _json(ref("Job"))},
    "jobs.show": {"200": _json(ref("Job"))},
    "jobs.index": {"200": _json(an_object(jobs=list_of(ref("Job")), next_cursor=or_null(TEXT)))},
    "jobs.cancel": {"202": _json(ref("Job"))},
    "again.retry": {"202": _json(ref("Job"))},
    "again.clone": {"202": _json(ref("Job"))},
    "links.make": {"201": _json(an_object(expires_at=MOMENT, links=LINKS))},
    "results.result": {"200": _PARQUET, "206": _PARQUET},
    "results.parquet": {"200": _PARQUET, "206": _PARQUET},
    "results.as_csv": {"200": _CSV},
    "results.as_jsonl": {"200": _JSONL},
    "results.preview": {"200": _PREVIEW},
    "results.errors_jsonl": {"200": _JSONL},
    "results.errors_csv": {"200": _CSV},
    "models.index": {"200": _json(an_object(models=list_of(ref("ModelSummary"))))},
    "models.show": {"200": _json(ref("Model"))},
    "health.healthz": {"200": _json(ref("Health"))},
    "health.health": {"200": _json(ref("Health"))},
    "health.readyz": {"200": _json(ref("Readiness"))},
    "pages.home": {"200": {**_json(ref("Start")), "text/html": {"schema": TEXT}}},
}
# What any request may be told, beside what its route names.
REFUSALS = {
    "400": "The request is not what it says it is",
    "401": "A key is needed, or the one that was shown is not valid",
    "403": "The key has no role for this, or the page no leave",
    "404": "There is nothing at this address",
    "408": "The request, or its body, did not come in time",
    "413": "The body is too large, or none was expected",
    "421": "This server does not answer to this name",
    "422": "Something that was sent is wrong; `errors` says what",
    "429": "Over a rate limit; `Retry-After` says for how long",
    "500": "Something went wrong here, or a stored file is damaged",
    "503": "Not now: the database, the disk or the queue; `Retry-After`",
}
SECURITY_SCHEMES: dict[str, Schema] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "basic": {"type": "http", "scheme": "basic", "description": "the key is the password"},
}
