"""Feature sets of an extraction's recipe that another program wrote: refused, and left alone."""

import shutil

import numpy as np
import pytest

from tests.vifistore.extract.sets import NAME, SETTINGS, flip
from vifi.__main__ import run
from vifistore.errors import UsageError
from vifistore.extract.job import extract_dataset
from vifistore.store import open_store
from vifistore.store.feature_record import FRAME_COUNTS
from vifistore.store.names import set_name
from vifistore.store.verifying.verify import verify_store
from vifistore.store.writer import FeatureWriter, Shape

FLAGS = ("--dataset", "d", "--model", "vifi-tiny", "--pretrained", "none", "--frames", "2")
CPU = ("--precision", "fp32", "--device", "cpu", "--workers", "1")


@pytest.fixture
def counted(store, tiny):
    """The store, its set of the tiny model written again by hand, with `num_valid`, and damaged."""
    extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    dataset, old = store.dataset("d"), store.features("d", NAME)
    data = {name: old.read(name) for name in old.specs}
    num_videos, views, frames, dim = data["frames"].shape
    shutil.rmtree(store.path / old.path)
    writer = FeatureWriter(
        dataset,
        old.recipe,
        Shape(video=num_videos, view=views, frame=frames, dim=dim),
        {"host": "test"},
        further={"num_valid": FRAME_COUNTS},
    )
    full = np.full((num_videos, views), frames, np.uint16)
    writer.write_block(0, list(range(num_videos)), {**data, "num_valid": full})
    writer.seal()
    set_name(dataset, NAME, writer.id, old.checkpoint, force=True)
    writer.release()
    flip(store.path / writer.path / "timestamps/c.0.0.0")
    return store


def content(store) -> dict:
    return {file: file.read_bytes() for file in store.path.rglob("*") if file.is_file()}


@pytest.mark.parametrize("flag", [{}, {"retry": True}, {"repair": True}])
def test_they_are_refused_before_anything_is_changed(counted, tiny, flag):
    before = content(counted)
    with pytest.raises(UsageError, match=r"^[^\n]*has num_valid beside its frames, which vifi ext"):
        extract_dataset(counted.dataset("d"), SETTINGS, loaded=tiny, **flag)
    assert content(counted) == before


@pytest.mark.parametrize("flag", ["--retry", "--repair", "--dry-run"])
def test_the_verb_refuses_them_alike(counted, capsys, flag):
    before = content(counted)
    assert run(["extract", str(counted.path), *FLAGS, *CPU, flag]) == 2
    assert "has num_valid beside its frames" in capsys.readouterr().err
    assert content(counted) == before


@pytest.mark.parametrize("lost", ["", "view_mean/zarr.json", "num_valid"])
def test_verify_offers_no_extraction(counted, lost):
    if lost.endswith("json"):
        (counted.path / counted.features("d", NAME).path / lost).unlink()
    elif lost:
        shutil.rmtree(counted.path / counted.features("d", NAME).path / lost)
    problems = list(verify_store(open_store(counted.path)))
    assert problems
    assert not any("vifi extract" in problem.remedy for problem in problems)
