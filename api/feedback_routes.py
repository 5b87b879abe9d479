"""True labels, as JSON or as a file, of what was predicted on the spot and of jobs; and how right it was."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify, request

from api import metering, uploads
from api.context import caller, prediction_log, scope, workshop
from api.feedback_bodies import Options, accuracy_options, is_json, options_of, read_json
from api.feedback_docs import ACCURACY, FEEDBACK
from api.presenting import timestamp
from api.turns import Turns
from base.access.callers import Role
from jobs import intake, reading
from jobs.errors import Problem
from jobs.feedback.accuracy import OfVersion, Window, accuracy
from jobs.feedback.alarms import Alarm, newest
from jobs.feedback.extracting import extract
from jobs.feedback.labels import Kind
from jobs.feedback.log import HOUR_SECONDS
from jobs.feedback.measured import Measured
from jobs.feedback.of_jobs import label_job, result_of
from jobs.feedback.of_predictions import Mine, label_predictions
from jobs.feedback.pieces import Result
from jobs.feedback.sent import SHOWN, Sent, Tally
from jobs.records import Job

blueprint = APIBlueprint("feedback", __name__, tag="Feedback")

# Joining labels to a job takes a processor's time, and the disk's: one at a time in a process.
_turns = Turns(waiting=3, seconds=60.0)


@blueprint.route("/feedback", methods=["POST", "PUT"])
@blueprint.doc(summary="Send true labels", **FEEDBACK)
def feedback() -> Response:
    """Labels as JSON or as a file; the same ones again change nothing."""
    with uploads.drained(request):
        return _feedback()


def _feedback() -> Response:
    shop = workshop()
    uploads.refuse_unknown_coding(request)
    limits = (shop.settings.max_upload_bytes, shop.settings.min_free_bytes)
    with intake.receive(shop.files, request.content_length, *limits) as upload:
        body, fields = uploads.Body(request), dict[str, str]()
        if uploads.is_multipart(request):
            _, fields = uploads.read_form(request, body, upload)
        else:
            uploads.read_raw(request, body, upload)
        upload.finish()
        options = options_of(uploads.options_of(dict(request.args.lists()), fields))
        if is_json(request.mimetype, upload.path, upload.bytes, shop.settings.max_predict_bytes):
            if upload.bytes > shop.settings.max_predict_bytes:
                raise Problem("too_large", "So many labels are sent as a file: CSV, JSON Lines or Parquet.")
            options, sent = read_json(upload.path.read_bytes(), options)
            join = _joining(options)
            with _in_turn() if options.job else nullcontext():
                return join(sent)
        join = _joining(options)  # refused, if it is, before the file is read
        with _in_turn(), shop.files.draft() as out:
            most = shop.settings.max_decoded_bytes
            return join([extract(shop.files, upload.path, options.columns, out, most)])


def _in_turn() -> AbstractContextManager[None]:
    return _turns.turn("Other labels are being joined here; send these again, as Retry-After says.")


def _joining(options: Options) -> Callable[[list[Sent]], Response]:
    """What labels are joined by, to whatever they are of."""
    if not options.job:
        return partial(_joined_to_log, options)
    shop = workshop()
    job = reading.find_job(shop.database, scope(), options.job)
    return partial(_joined_to_job, job, result_of(shop, job, options.key))


def _joined_to_job(job: Job, result: Result, sent: list[Sent]) -> Response:
    by_row = replace(result, key_column=None)
    done = [label_job(workshop(), job, result if each.by == "key" else by_row, each) for each in sent]
    outcome = {"id": job.id, **_figures(done[-1].measured, result.kind)}
    return jsonify({**_told([each.tally for each in done]), "job": outcome})


def _joined_to_log(options: Options, sent: list[Sent]) -> Response:
    shop = workshop()
    if (log := prediction_log()) is not None:
        log.flush()  # what this process answered a moment ago may be labelled already
    name = None
    if any(each.by == "key" for each in sent):
        manifest = shop.catalog.resolve(options.model, shop.settings.default_model or None)
        name = metering.noted(manifest).name
    told = []
    for each in sent:
        # a key is only the owner's own name for something; an id is everybody's
        owner = caller().owner if each.by == "key" else scope()
        told.append(label_predictions(shop.database, Mine(owner, name), each))
    return jsonify(_told(told))


def _told(tallies: list[Tally]) -> dict[str, Any]:
    """What became of all labels together; of each list the first entries."""
    counts = ("sent", "joined", "unknown", "unusable", "unseen")
    lists = ("unknown_keys", "unusable_labels", "unseen_labels")
    return {
        "labels": {name: sum(getattr(tally, name) for tally in tallies) for name in counts},
        **{name: [each for tally in tallies for each in getattr(tally, name)][:SHOWN] for name in lists},
    }


@blueprint.get("/models/<name>/accuracy")
@blueprint.doc(summary="How right a model was", **ACCURACY)
def show(name: str) -> Response:
    """By version and over time, as far as labels are known; of the caller's own predictions and jobs.

    An admin sees those of all owners.
    """
    shop, options = workshop(), accuracy_options(request.args.to_dict())
    reference = name if options.version is None else f"{name}@{options.version}"
    window, versions = accuracy(shop.database, scope(), name, seconds=options.window, version=options.version)
    if not versions:
        shop.registry.resolve(reference)  # a misspelt name has no predictions either
    told = [_version(version, found, window) for version, found in versions.items()]
    if caller().role is Role.ADMIN:  # alarms are about all owners, and tell what the operator's command said
        alarms = newest(shop.database, name, window.first * HOUR_SECONDS)
        told = [{**each, "alarm": _alarm(alarms.get(each["version"]))} for each in told]
    answer = jsonify(
        {
            "model": name,
            "window_seconds": options.window,
            "step_seconds": window.step * HOUR_SECONDS,
            "versions": told,
        }
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _version(version: int, found: OfVersion, window: Window) -> dict[str, Any]:
    def step(start: int, measured: Measured) -> dict[str, Any]:
        begin, end = (hour * HOUR_SECONDS for hour in (start, start + window.step))
        return {"from": timestamp(begin), "to": timestamp(end), **_figures(measured, found.kind)}

    return {
        "version": version,
        **_figures(found.total, found.kind),
        "lost": found.lost,
        "over_time": [step(start, measured) for start, measured in sorted(found.steps.items())],
    }


def _alarm(alarm: Alarm | None) -> dict[str, Any] | None:
    """When a version fell, and what became of telling it."""
    if alarm is None:
        return None
    return {
        "fell_at": timestamp(alarm.fell_at),
        "accuracy": alarm.accuracy,
        "below": alarm.below,
        "labelled": alarm.labelled,
        "calls": alarm.calls,
        "told_at": timestamp(alarm.told_at),
        "failure": alarm.failure,
        "due_at": timestamp(alarm.due_at),
    }


def _figures(measured: Measured, kind: Kind) -> dict[str, Any]:
    return {
        "predictions": measured.rows,
        "labelled": measured.labelled,
        "coverage": measured.coverage,
        **measured.figures(kind),
    }
