"""Arrays that are not what the schema or their set says of them are damage where they are read."""

import json

import numpy as np
import pytest

from harness.fusion import unit
from harness.link import Link
from harness.scoring import Classes, load_videos, score
from tests.vifistore.store.test_further_arrays import folder, made  # noqa: F401
from tests.vifistore.store.test_other_programs import lay_out_anew
from vifistore.errors import DamagedError
from vifistore.store import open_store
from vifistore.store.exporting.formats import ExportSettings, export_features
from vifistore.store.feature_record import declared_arrays
from vifistore.store.schema import FEATURE_ARRAYS
from vifistore.store.verifying.verify import verify_store

VECTORS = unit(np.random.default_rng(3).normal(size=(2, 8)))
CLASS_TEXTS = Classes(vectors=VECTORS, link=Link(10.0), text_set="", templates=())
NAMES = ("frames", "view_mean", "view_consensus", "timestamps", "status", "num_valid", "tokens")


def edit(folder, name, change):  # noqa: F811
    path = folder / open_store(folder).features("d", "mine").path / name / "zarr.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def other_numbers(document):
    # As many bytes each, so that every checksum is right.
    kinds = {"float16": "uint16", "float32": "int32", "uint16": "float16", "uint8": "float32"}
    document.update(data_type=kinds[document["data_type"]], fill_value=0)


def unknown_to_us(document):
    kinds = {"float16": "int16", "float32": "uint32", "uint16": "float16", "uint8": "bool"}
    document.update(data_type=kinds[document["data_type"]], fill_value=0)
    if document["data_type"] == "bool":
        document["fill_value"] = False


def fewer_videos(document):
    document["shape"][0] = 60


def fewer_axes(document):
    for lengths in (document["shape"], document["chunk_grid"]["configuration"]["chunk_shape"]):
        lengths.append(1)
    document["dimension_names"].append("more")


WOUNDS = {
    other_numbers: "it holds ",
    unknown_to_us: "it holds ",
    fewer_videos: "it has 60 videos, 70 were sealed",
    fewer_axes: "its axes are not ",
}


@pytest.mark.parametrize("wound", WOUNDS)
@pytest.mark.parametrize("name", NAMES)
def test_they_are_refused_when_read(folder, name, wound):  # noqa: F811
    edit(folder, name, wound)
    features = open_store(folder).features("d", "mine")
    words = rf"^[^\n]*/{name} is damaged: {WOUNDS[wound]}[^\n]*; run: vifi verify [^\n]*$"
    for act in (
        lambda: features.read(name),
        lambda: features.array(name),
        lambda: features.select(rows=[1], arrays=(name,)),
        lambda: features.select(rows=[1], arrays=(name,), verify=False),
        lambda: next(features.blocks((name,))),
    ):
        with pytest.raises(DamagedError, match=words):
            act()
    assert any(f"/{name}" in problem.where for problem in verify_store(open_store(folder)))


@pytest.mark.parametrize("wound", [other_numbers, fewer_videos])
@pytest.mark.parametrize("name", ["view_mean", "tokens"])
@pytest.mark.parametrize("format", ["zarr", "hdf5"])
def test_they_are_neither_exported_nor_scored(folder, tmp_path, name, wound, format):  # noqa: F811
    edit(folder, name, wound)
    features = open_store(folder).features("d", "mine")
    settings = ExportSettings(dataset="d", features="mine", format=format, out=tmp_path / "out")
    with pytest.raises(DamagedError, match=f"{name} is damaged"):
        export_features(open_store(folder), settings)
    assert not settings.out.exists()
    if name == "view_mean":
        with pytest.raises(DamagedError, match="view_mean is damaged"):
            score(load_videos(features), CLASS_TEXTS, ("embedding",))


@pytest.mark.parametrize("name", NAMES)
def test_another_program_may_lay_them_out(folder, name):  # noqa: F811
    expected = open_store(folder).features("d", "mine").read(name)
    lay_out_anew(folder / open_store(folder).features("d", "mine").path / name)
    found = open_store(folder).features("d", "mine").read(name)
    assert found.tobytes() == expected.tobytes()


def test_every_array_is_looked_at(folder):  # noqa: F811
    features = open_store(folder).features("d", "mine")
    declared = declared_arrays(open_store(folder).backend.attributes(features.path))
    assert {*FEATURE_ARRAYS, *declared} == features.specs.keys()
    for name in features.specs:
        assert features.array_path(name) == f"{features.path}/{name}"
