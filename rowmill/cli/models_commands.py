"""`rowmill models …`: add, list and show versions, move aliases, in the folder and database of the settings.

Only parsing and printing; what the commands do stands in the room `models`. It is imported late, with the
database, because it brings scikit-learn along, and `rowmill --help` must answer at once.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from base.settings import Settings
from models.errors import ModelError
from rowmill.cli import image_options, policy_options
from rowmill.cli.exits import ExitCode, say, stop
from rowmill.cli.image_options import image_spec

if TYPE_CHECKING:
    from models.manifest import ColumnSpec, Manifest, Signature, Target
    from models.registry import Registry

app = typer.Typer(
    name="models", help="Add and look at models; needs no running server.", no_args_is_help=True
)


def _pairs(text: str) -> dict[str, str]:
    """`0=negative,1=positive` as a dictionary."""
    parts = [part.partition("=") for part in text.split(",") if part]
    if not parts or any(not equals or not key.strip() or not value.strip() for key, equals, value in parts):
        raise typer.BadParameter(f"{text!r} is not of the form 0=negative,1=positive")
    return {key.strip(): value.strip() for key, _, value in parts}


def _names(text: str) -> list[str]:
    """`a,b,c` as a list; a name may not be empty or come twice."""
    names = [name.strip() for name in text.split(",")]
    if "" in names or len(set(names)) < len(names):
        raise typer.BadParameter(f"{text!r} is not a list of different names such as a,b,c")
    return names


def _path(text: str) -> Path:
    return Path(text).expanduser()


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, one document a line.")]
ModelFile = Annotated[
    Path,
    typer.Argument(parser=_path, metavar="FILE", help="Fitted estimator or pipeline: .joblib or .pkl."),
]
Sample = Annotated[
    Path | None,
    typer.Option(
        parser=_path, metavar="FILE", help="Rows as in training (CSV, JSON Lines, Parquet): types and ranges."
    ),
]
Targets = Annotated[
    str | None,
    typer.Option("--target", metavar="COLUMN", help="Column of the sample that is predicted; several: a,b."),
]
Preprocessor = Annotated[
    Path | None,
    typer.Option(parser=_path, metavar="FILE", help="Fitted transformer (a scaler) to apply first."),
]
Labels = Annotated[
    str | None, typer.Option(metavar="0=negative,1=positive", help="Names to show for the classes.")
]
Columns = Annotated[
    str | None, typer.Option(metavar="a,b,c", help="Input columns, in the order the model was fitted with.")
]
Meta = Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Note to keep; may be repeated.")]
Data = Annotated[
    Path | None, typer.Option(parser=_path, metavar="FILE", help="Training data; its digest is recorded.")
]
Revision = Annotated[str | None, typer.Option(metavar="SHA", help="Commit of the training code.")]
Text = Annotated[
    str | None,
    typer.Option("--text", metavar="COLUMN", help="The model takes bare texts, from this column."),
]
Code = Annotated[
    Path | None,
    typer.Option(parser=_path, metavar="FILE|DIR", help="Your own modules that the model needs."),
]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name of the model; a new version of it if it exists.")],
    file: ModelFile,
    sample: Sample = None,
    target: Targets = None,
    preprocessor: Preprocessor = None,
    labels: Labels = None,
    columns: Columns = None,
    meta: Meta = None,
    data: Data = None,
    revision: Revision = None,
    image: image_options.Image = None,
    mode: image_options.Mode = None,
    resize: image_options.Resize = None,
    scale: image_options.Scale = None,
    mean: image_options.Mean = None,
    std: image_options.Std = None,
    layout: image_options.Layout = None,
    draft: image_options.Draft = False,
    text: Text = None,
    code: Code = None,
    on_unusual: policy_options.OnUnusual = None,
    max_z: policy_options.MaxZ = None,
    as_json: AsJson = False,
) -> None:
    """Add FILE as a new version of NAME. A model file is code: add only files that you trust."""
    from models.adding import NewVersion  # noqa: PLC0415 - slow, see the top

    spec = image_spec(image, mode, resize, scale, mean, std, layout, draft)
    asked = policy_options.policies(on_unusual or (), max_z)
    with _registry() as registry:
        manifest = registry.add(
            NewVersion(
                name=name,
                file=file,
                sample=sample,
                targets=_names(target) if target else (),
                preprocessor=preprocessor,
                labels=_pairs(labels) if labels else None,
                columns=_names(columns) if columns else None,
                image=spec,
                text=text,
                code=code,
                meta={key: value for note in meta or () for key, value in _pairs(note).items()},
                data=data,
                revision=revision,
                policies=asked,
            )
        )
    if as_json:
        _print_json(manifest.model_dump(mode="json"))
    else:
        typer.echo(manifest.reference)
        say(_summary(manifest))


@app.command("ls")
def list_models(
    name: Annotated[str | None, typer.Argument(help="Only the versions of this model.")] = None,
    as_json: AsJson = False,
) -> None:
    """List versions, the aliases that point at them, and what they are."""
    with _registry() as registry:
        manifests = registry.list(name)
        aliases = registry.aliases()
    if as_json:
        for manifest in manifests:
            _print_json(manifest.model_dump(mode="json") | {"aliases": _pointing_at(manifest, aliases)})
        return
    if not manifests:
        say("no model yet; `rowmill models add NAME FILE` adds one")
        return
    rows = [("VERSION", "ALIASES", "TASK", "ESTIMATOR", "ADDED")]
    rows += [
        (
            manifest.reference,
            ",".join(_pointing_at(manifest, aliases)) or "-",
            manifest.task,
            manifest.estimator.rpartition(".")[2],
            manifest.created_at[:16].replace("T", " "),
        )
        for manifest in manifests
    ]
    typer.echo(_table(rows))


@app.command()
def show(
    reference: Annotated[str, typer.Argument(metavar="NAME[@VERSION|@ALIAS]", help="Which version.")],
    as_json: AsJson = False,
) -> None:
    """Show what is known about a version."""
    with _registry() as registry:
        manifest = registry.resolve(reference)
        aliases = _pointing_at(manifest, registry.aliases())
    if as_json:
        _print_json(manifest.model_dump(mode="json") | {"aliases": aliases})
    else:
        typer.echo(_description(manifest, aliases))


@app.command()
def alias(
    reference: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="Which version.")],
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="Name to point at it, such as production.")],
    note: Annotated[str | None, typer.Option(help="Why, for the history.")] = None,
) -> None:
    """Point ALIAS at a version: `production` is what the bare NAME then means."""
    with _registry() as registry:
        manifest = registry.resolve(reference)
        registry.set_alias(manifest.name, manifest.version, alias, getpass.getuser(), note)
    say(f"{manifest.name}@{alias} is now {manifest.reference}")


@contextmanager
def _registry() -> Iterator[Registry]:
    """The registry of the settings; a model that is refused becomes one line and exit code 1."""
    from sqlalchemy.exc import OperationalError  # noqa: PLC0415 - slow, see the top

    from base.database import Database  # noqa: PLC0415 - slow, see the top
    from models.registry import Registry  # noqa: PLC0415 - slow, see the top

    settings = Settings()
    database = Database(settings.database_url)
    try:
        database.upgrade()
        yield Registry(database, settings.data_dir / "models")
    except ModelError as refused:
        stop(f"{refused.message} ({refused.code})", ExitCode.FAILED)
    except OperationalError as failed:
        stop(f"the database of the settings cannot be used: {failed.orig}", ExitCode.FAILED)
    finally:
        database.dispose()


def _print_json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False))


def _pointing_at(manifest: Manifest, aliases: dict[str, dict[str, int]]) -> list[str]:
    return [name for name, version in aliases.get(manifest.name, {}).items() if version == manifest.version]


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _summary(manifest: Manifest) -> str:
    name = manifest.estimator.rpartition(".")[2]
    return f"added {manifest.reference}: {name}, {_input(manifest.signature)} -> {_output(manifest)}"


def _input(signature: Signature) -> str:
    if signature.image:
        return f"images {signature.image}"
    names = signature.names
    if signature.kind == "text":
        return f"texts (column {names[0]})"
    return f"{len(names)} columns ({', '.join(names[:4])}{', …' if len(names) > 4 else ''})"


def _output(manifest: Manifest) -> str:
    return "; ".join(_target(target) for target in manifest.targets)


def _target(target: Target) -> str:
    name = f"{target.name}: " if target.name else ""
    if target.classes is None:
        return f"{name}{target.label_type}"
    shown = ", ".join(str(label) for label in target.classes[:6])
    return f"{name}{len(target.classes)} classes ({shown}{', …' if len(target.classes) > 6 else ''})"


def _description(manifest: Manifest, aliases: Sequence[str]) -> str:
    lines = {
        "version": manifest.reference,
        "aliases": ", ".join(aliases),
        "estimator": f"{manifest.estimator} ({manifest.task})",
        "input": _input(manifest.signature),
        "output": _output(manifest) + ("" if manifest.has_probabilities else ", no probabilities"),
        "file": f"{manifest.artefact.source}, {manifest.artefact.bytes:,} bytes",
        "sha256": manifest.sha256,
        "code": ", ".join(manifest.code.files) if manifest.code else "",
        "added": manifest.created_at,
        "libraries": ", ".join(f"{name} {version}" for name, version in manifest.libraries.items()),
        "row cost": _cost(manifest),
        "memory": f"{manifest.loaded_bytes:,} bytes",
        "revision": manifest.revision or "",
        "data": f"{manifest.data_file} {manifest.data_sha256}" if manifest.data_sha256 else "",
        "notes": ", ".join(f"{key}={value}" for key, value in manifest.meta.items()),
    }
    text = "\n".join(f"{name:<11}{value}" for name, value in lines.items() if value)
    if manifest.signature.kind != "table":
        return text
    columns = [("COLUMN", "TYPE", "SEEN", "UNUSUAL", "REFUSES"), *map(_column, manifest.signature.columns)]
    return f"{text}\n\n{_table(columns)}"


def _cost(manifest: Manifest) -> str:
    text = f"{manifest.row_cost_seconds * 1e6:.3g} microseconds"
    if manifest.byte_cost_seconds:
        what = "the text" if manifest.signature.kind == "text" else "the image"
        text += f", and {manifest.byte_cost_seconds * 1e9:.3g} nanoseconds for each byte of {what}"
    return text


def _column(spec: ColumnSpec) -> tuple[str, str, str, str, str]:
    seen = "-"
    if spec.categories:
        seen = ", ".join(str(label) for label in spec.categories[:5])
        seen += ", …" if len(spec.categories) > 5 else ""
    elif spec.minimum is not None and spec.maximum is not None:
        seen = f"{spec.minimum:g} to {spec.maximum:g}"
    accepted = {
        "missing": spec.accepts_null,
        "infinite": spec.accepts_infinite,
        "unseen": spec.accepts_unseen,
    }
    return (
        spec.name,
        spec.dtype,
        seen,
        _policy(spec) if seen != "-" else "-",
        ", ".join(word for word, taken in accepted.items() if not taken) or "-",
    )


def _policy(spec: ColumnSpec) -> str:
    return spec.on_unusual if spec.near is None else f"{spec.on_unusual}, z > {spec.max_z:g}"
