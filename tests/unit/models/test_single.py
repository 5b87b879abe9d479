"""Rows of a request: their shapes, where each value stood, and what is checked before a model is touched."""

from __future__ import annotations

import base64
import io
import math
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from models.manifest import ColumnSpec, ImageSpec, Manifest, Signature, StoredFile, Target
from models.payload import PayloadRefused, image_rows, pointer, read_rows, reference_in
from models.single import MAX_IMAGE_BYTES, model_input

AGE = ColumnSpec(name="age", kind="number", dtype="float64", accepts_null=False, accepts_infinite=False)
CITY = ColumnSpec(name="home/city~", kind="string", dtype="string")
MEMBER = ColumnSpec(name="member", kind="boolean", dtype="bool")


def manifest(*columns: ColumnSpec, image: ImageSpec | None = None) -> Manifest:
    """A version that was never trained: only its signature matters here."""
    signature = Signature(
        kind="image" if image else "table", named=True, input="frame", columns=columns, image=image
    )
    return Manifest(
        name="people",
        version=2,
        sha256="0" * 64,
        created_at="2026-01-01T00:00:00Z",
        task="regression",
        estimator="made.Up",
        artefact=StoredFile(file="model.joblib", sha256="0" * 64, bytes=1, source="m.joblib"),
        signature=signature,
        targets=(Target(name=None),),
        has_probabilities=False,
        labels_from_probabilities=False,
        row_cost_seconds=1e-6,
    )


PEOPLE = manifest(AGE, CITY, MEMBER)
NAMES = PEOPLE.signature.names


def table(body: Any) -> pa.Table:
    """What the model would be given."""
    return model_input(PEOPLE, read_rows(body, NAMES, 100)).data


def refusal(body: Any, of: Manifest = PEOPLE) -> dict[str, str]:
    """Codes by pointer."""
    with pytest.raises(PayloadRefused) as refused:
        model_input(of, read_rows(body, of.signature.names, 100))
    return {error["pointer"]: error["code"] for error in refused.value.errors}


def test_values_become_columns_of_their_kind_in_the_order_of_the_model() -> None:
    rows = [
        {"member": True, "age": 40, "home/city~": "Örebro"},
        [float(2**60), None, None],
    ]
    found = table({"instances": rows})
    assert found.column_names == list(NAMES)
    assert found.schema.types == [pa.float64(), pa.string(), pa.bool_()]
    assert found.to_pylist() == [
        {"age": 40.0, "home/city~": "Örebro", "member": True},
        {"age": float(2**60), "home/city~": None, "member": None},
    ]


def test_pointers_escape_what_json_pointers_escape() -> None:
    assert refusal({"features": {"age": 1, "home/city~": 5, "member": True}}) == {
        "/features/home~1city~0": "wrong_type"
    }
    assert pointer("a", 0, None, "~/") == "/a/0/~0~1"


def test_a_value_with_a_problem_is_told_once_and_others_still_checked() -> None:
    rows = [
        {"age": "x", "home/city~": "\ud800", "member": 0},
        {"age": None, "home/city~": "a", "member": None},
    ]
    assert refusal({"instances": rows}) == {
        "/instances/0/age": "wrong_type",
        "/instances/0/home~1city~0": "invalid_text",
        "/instances/0/member": "wrong_type",
        "/instances/1/age": "missing_value",
    }


def test_columns_that_a_frame_lacks_are_told_once_not_per_row() -> None:
    split = {"columns": ["age", "member", "zip"], "data": [[1, True, 2]] * 5}
    assert refusal({"dataframe_split": split}) == {
        "/dataframe_split/columns": "missing_field",
        "/dataframe_split/data/0/2": "unknown_field",
        **{f"/dataframe_split/data/{row}/2": "unknown_field" for row in range(1, 5)},
    }


@pytest.mark.parametrize(
    ("body", "single"),
    [
        ({"features": [1, "a", True]}, True),
        ({"age": 1, "home/city~": "a", "member": True}, True),
        ({"instances": [[1, "a", True]]}, False),
        ({"inputs": {"age": [1], "home/city~": ["a"], "member": [True]}}, False),
    ],
)
def test_one_row_in_a_list_is_still_a_list(body: Any, single: bool) -> None:
    assert read_rows(body, NAMES, 100).single is single


def test_a_model_is_named_beside_rows_only() -> None:
    assert reference_in({"model": "wine", "features": {}}) == "wine"
    assert reference_in({"model": "corolla", "km": 5}) is None
    assert reference_in([1]) is None
    assert reference_in({"model": "moods@1", "text": "fine", "key": "k"}) == "moods@1"
    assert reference_in({"model": "moods@1", "texts": ["fine"], "keys": ["k"]}) == "moods@1"
    assert reference_in({"model": "a column", "text": "fine", "stars": 4}) is None
    assert read_rows({"model": "wine@3", "data": [[1]]}, NAMES, 100).model == "wine@3"


def test_the_limit_counts_rows_in_every_list() -> None:
    for body in (
        {"instances": [[1]] * 101},
        {"inputs": {"age": [1] * 101}},
        {"dataframe_split": {"columns": ["age"], "data": [[1]] * 101}},
    ):
        with pytest.raises(PayloadRefused, match="101 rows") as refused:
            read_rows(body, NAMES, 100)
        assert refused.value.code == "too_many_rows"


def test_an_image_model_takes_nothing_but_images() -> None:
    tiny = manifest(image=ImageSpec(width=2, height=2))
    assert refusal({"features": [0, 1, 2, 3]}, tiny) == {"/features": "wrong_type"}
    assert refusal({"instances": [{"image": "AA=="}, {"picture": "AA=="}]}, tiny) == {
        "/instances/0/image": "image_unreadable",
        "/instances/1": "wrong_type",
    }
    with pytest.raises(PayloadRefused) as refused:
        model_input(tiny, image_rows([b"GIF89a"]))
    assert refused.value.errors[0]["pointer"] == "/image"


def test_images_are_counted_by_the_memory_they_take() -> None:
    large = ImageSpec(width=4096, height=2048)
    rows = [{"image": ""}] * (MAX_IMAGE_BYTES // (8 * 4096 * 2048) + 1)
    with pytest.raises(PayloadRefused) as refused:
        model_input(manifest(image=large), read_rows({"instances": rows}, (), 100))
    assert refused.value.code == "too_many_rows"


def test_images_are_counted_by_their_pixels_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.single.MAX_PIXELS_TOGETHER", 1000)
    small, large = io.BytesIO(), io.BytesIO()
    Image.new("1", (20, 20)).save(small, "PNG")
    Image.new("1", (200, 200)).save(large, "PNG")
    picture = small.getvalue()
    tiny = manifest(image=ImageSpec(width=2, height=2))
    bad = picture[:20]
    assert len(model_input(tiny, image_rows([picture] * 2)).data) == 2
    assert refusal({"images": [base64.b64encode(bad).decode()] * 9}, tiny).keys() == {
        f"/images/{row}" for row in range(9)
    }
    with pytest.raises(PayloadRefused, match="first 3 images have more than 1000 pixels") as refused:
        model_input(tiny, image_rows([picture] * 3))
    assert refused.value.code == "too_large"
    assert len(model_input(tiny, image_rows([large.getvalue()])).data) == 1


def test_a_column_of_whole_numbers_takes_them_as_long_as_they_are_exact() -> None:
    whole = manifest(ColumnSpec(name="visits", kind="number", dtype="int64"))
    taken = model_input(whole, read_rows({"visits": 1 - 2**53}, ["visits"], 1)).data
    assert isinstance(taken, pa.Table)
    assert taken["visits"].to_pylist() == [float(1 - 2**53)]
    for number in (2**53, -(2**53) - 1, 10**309, 1e16):
        assert refusal({"visits": number}, whole) == {"/visits": "integer_too_large"}


def test_a_column_with_fractions_takes_the_nearest_of_them() -> None:
    # 1e18 and 2**69 as JavaScript writes them: whole numbers, the latter with digits that no float has
    good = {"age": 0, "home/city~": "", "member": False}
    for number in (10**18, 590295810358705700000, -(2**53) - 1, 1e300):
        assert table(good | {"age": number}).column("age").to_pylist() == [float(number)]
    assert refusal(good | {"age": 10**309}) == {"/age": "infinite_value"}


def test_numbers_that_are_no_json_are_told_with_their_place() -> None:
    rows = [[math.nan, "a", True], [math.inf, "a", True], [None, "a", True]]
    assert refusal({"instances": rows}) == {
        "/instances/0/0": "not_a_number",
        "/instances/1/0": "infinite_value",
        "/instances/2/0": "missing_value",
    }
