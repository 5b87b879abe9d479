"""`rowmill models …`: add, list and show versions; what happens to them later stands in ``life_commands``.

Only parsing and printing; what the commands do stands in the room `models`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from models.gate import BarMissed
from rowmill.cli import (
    gate_options,
    image_options,
    life_commands,
    model_texts,
    policy_options,
    scorer_options,
    traffic_commands,
)
from rowmill.cli.exits import say
from rowmill.cli.image_options import image_spec
from rowmill.cli.registry_session import AsJson, opened_registry
from rowmill.cli.session import print_json
from rowmill.cli.texts import table

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


ModelFile = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="Fitted estimator or pipeline: .joblib, .pkl or .skops; a model logged with MLflow: its folder, "
        "models:/NAME/VERSION, models:/NAME@ALIAS or runs:/ID/PATH.",
    ),
]
Trust = Annotated[
    list[str] | None,
    typer.Option(metavar="TYPE", help="Type in a .skops file that is not known to be harmless; repeatable."),
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
    trust: Trust = None,
    on_unusual: policy_options.OnUnusual = None,
    max_z: policy_options.MaxZ = None,
    scorer: scorer_options.Scorer = scorer_options.Choice.AUTO,
    scorer_tolerance: scorer_options.Tolerance = None,
    holdout: gate_options.Holdout = None,
    require: gate_options.Require = None,
    better_than: gate_options.BetterThan = None,
    as_json: AsJson = False,
) -> None:
    """Add FILE as a new version of NAME. A model file is code: add only files that you trust."""
    from models.adding import NewVersion  # noqa: PLC0415 - slow, see the top
    from models.mlflow.server import opened  # noqa: PLC0415 - slow, see the top

    spec = image_spec(image, mode, resize, scale, mean, std, layout, draft)
    policies = policy_options.policies(on_unusual or (), max_z)
    targets = _names(target) if target else []
    asked = gate_options.asked(holdout, targets, require or (), better_than)
    new = NewVersion(
        name=name,
        file=Path(file),
        sample=sample,
        targets=targets,
        preprocessor=preprocessor,
        labels=_pairs(labels) if labels else None,
        columns=_names(columns) if columns else None,
        image=spec,
        text=text,
        code=code,
        meta={key: value for note in meta or () for key, value in _pairs(note).items()},
        data=data,
        revision=revision,
        policies=policies,
        trust=trust or (),
        compiled=scorer == scorer_options.Choice.AUTO,
        tolerance=scorer_tolerance,
    )
    with opened_registry() as registry, opened(file) as source:
        if source.warning:
            say(source.warning)
        new = replace(new, file=source.path, mlflow=source.origin)
        try:
            manifest = registry.add(new, asked.gate(registry))
        except BarMissed as missed:
            gate_options.stop_below(missed, as_json)
    if as_json:
        print_json(manifest.model_dump(mode="json"))
        return
    typer.echo(manifest.reference)
    say(model_texts.summary(manifest))
    if manifest.evaluation:
        say(gate_options.report(manifest.evaluation))


@app.command("ls")
def list_models(
    name: Annotated[str | None, typer.Argument(help="Only the versions of this model.")] = None,
    as_json: AsJson = False,
) -> None:
    """List versions, the aliases that point at them, and what they are."""
    with opened_registry() as registry:
        manifests = registry.list(name)
        aliases = registry.aliases()
    if as_json:
        for manifest in manifests:
            print_json(
                manifest.model_dump(mode="json") | {"aliases": model_texts.pointing_at(manifest, aliases)}
            )
        return
    if not manifests:
        nothing = f"no version of {name} is in use" if name else "no model yet"
        say(f"{nothing}; `rowmill models add {name or 'NAME'} FILE` adds one")
        return
    rows = [("VERSION", "ALIASES", "TASK", "ESTIMATOR", "ADDED")]
    rows += [
        (
            manifest.reference,
            ",".join(model_texts.pointing_at(manifest, aliases)) or "-",
            manifest.task,
            manifest.estimator.rpartition(".")[2],
            manifest.created_at[:16].replace("T", " "),
        )
        for manifest in manifests
    ]
    typer.echo(table(rows))


@app.command()
def show(
    reference: Annotated[str, typer.Argument(metavar="NAME[@VERSION|@ALIAS]", help="Which version.")],
    as_json: AsJson = False,
) -> None:
    """Show what is known about a version, also of a retired one if it is named by its number."""
    with opened_registry() as registry:
        manifest = registry.recall(reference)
        aliases = model_texts.pointing_at(manifest, registry.aliases())
        retirement = registry.retirement(manifest.name, manifest.version)
        traffic = registry.traffic().get(manifest.name, {})
    if as_json:
        retired = retirement.document() if retirement else None
        spread = {alias: each.document() for alias, each in traffic.items()}
        more = {"aliases": aliases, "traffic": spread, "retired": retired}
        print_json(manifest.model_dump(mode="json") | more)
    else:
        typer.echo(model_texts.description(manifest, aliases, traffic, retirement))


for command in (*life_commands.COMMANDS, *traffic_commands.COMMANDS):
    app.command()(command)
app.command("rm")(life_commands.remove)
