"""The result schema that follows from a manifest."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from models.errors import ModelError
from models.manifest import ColumnSpec, Manifest, Signature, StoredFile, Target, output_schema


def manifest_of(*targets: Target, probabilities: bool = True, **fields: Any) -> Manifest:
    return Manifest(
        name="m",
        version=1,
        sha256="0" * 64,
        created_at="2026-01-01T00:00:00.000Z",
        task="classification",
        estimator="a.B",
        artefact=StoredFile(file="model.joblib", sha256="0" * 64, bytes=1, source="m.joblib"),
        signature=Signature(
            kind="table",
            named=True,
            input="matrix",
            columns=(
                ColumnSpec(name="a", kind="number", dtype="float64", maximum=1.5, categories=(1, 2.5, True)),
            ),
        ),
        targets=targets,
        has_probabilities=probabilities,
        labels_from_probabilities=probabilities,
        row_cost_seconds=1e-6,
        **fields,
    )


def test_one_output_has_plain_names_in_the_order_of_classes() -> None:
    manifest = manifest_of(Target(name="kind", classes=("b", "a"), label_type="string"))
    assert output_schema(manifest, confidence=True) == pa.schema(
        {
            "prediction": pa.string(),
            "probability_b": pa.float64(),
            "probability_a": pa.float64(),
            "confidence": pa.float64(),
        }
    )


def test_several_outputs_carry_their_names() -> None:
    manifest = manifest_of(
        Target(name="u", classes=(0, 1), label_type="integer"),
        Target(name="v", classes=(False, True), label_type="boolean"),
    )
    schema = output_schema(manifest, confidence=True)
    assert schema.names == [
        "prediction_u",
        "prediction_v",
        "probability_u_0",
        "probability_u_1",
        "probability_v_false",
        "probability_v_true",
        "confidence_u",
        "confidence_v",
    ]
    assert schema.field("prediction_v").type == pa.bool_()


def test_without_probabilities_there_is_no_confidence() -> None:
    manifest = manifest_of(Target(name=None), probabilities=False)
    assert output_schema(manifest) == pa.schema({"prediction": pa.float64()})
    with pytest.raises(ModelError, match="gives no probabilities") as refused:
        output_schema(manifest, confidence=True)
    assert refused.value.code == "no_probabilities"


def test_a_manifest_survives_json_with_the_types_of_its_labels() -> None:
    manifest = manifest_of(Target(name=None, classes=(True, 1, 1.5, "1"), label_type="string"))
    again = Manifest.model_validate_json(manifest.model_dump_json())
    assert again == manifest
    assert [type(label) for label in again.targets[0].classes or ()] == [bool, int, float, str]
