"""`vifi extract --fps` and `--every`, of windows, from the command line on."""

import json

import numpy as np
import pytest

from tests.vifistore.extract.conftest import write_clip
from vifi.__main__ import run
from vifistore.store import open_store
from vifistore.store.verifying.verify import verify_store


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a store of a clip of six seconds, cut into parts of two and a half."""
    folder = tmp_path_factory.mktemp("rates")
    write_clip(folder / "v" / "a.mp4", seed=0, num_frames=150)
    words = ["scan", folder / "s.zarr", folder / "v", "--dataset", "d", "--window", "2.5"]
    assert run([*map(str, words)]) == 0
    return folder


@pytest.fixture
def vifi(place, capsys):
    """Call a verb on the store; returns exit code, output and error lines."""

    def call(verb, *flags):
        model = ["--model", "vifi-tiny", "--pretrained", "none"] if verb == "extract" else []
        dataset = ["--dataset", "d"] if verb == "extract" else []
        code = run([str(word) for word in (verb, place / "s.zarr", *dataset, *model, *flags)])
        told = capsys.readouterr()
        return code, told.out, told.err.strip().splitlines()

    return call


def test_a_rate_gives_every_part_its_frames(place, vifi):
    code, out, _ = vifi("extract", "--fps", "2", "--dry-run", "--json")
    assert (code, json.loads(out)["frames"]) == (0, 5 + 5 + 2)
    code, out, _ = vifi("extract", "--fps", "2", "--json")
    assert (code, json.loads(out)["name"]) == (0, "vifi-tiny@random.2fps")
    features = open_store(place / "s.zarr").features("d", "vifi-tiny@random.2fps")
    assert features.num_valid.tolist() == [[5], [5], [2]]
    np.testing.assert_allclose(features.timestamps[2][0, :2], [5.25, 5.75])
    assert not [*verify_store(open_store(place / "s.zarr"))]
    _, out, _ = vifi("info")
    assert "2 frames a second, 5 at most" in out
    code, out, _ = vifi("extract", "--fps", "2")
    assert (code, "0 encoded" in out) == (0, True)
    code, out, _ = vifi("extract", "--every", "50")
    assert (code, "vifi-tiny@random.every50" in out) == (0, True)
    _, out, _ = vifi("info")
    assert "one frame in 50" in out


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--fps", "0.5", "--every", "3"], "two rates"),
        (["--fps", "-1"], "--fps is -1"),
        (["--fps", "2", "--clips", "3"], "leave --clips and --stride out"),
        (["--fps", "4", "--frames", "3"], "give --frames 10"),
    ],
)
def test_what_cannot_be_is_one_line(vifi, flags, told):
    code, out, lines = vifi("extract", *flags)
    assert (code, out) == (2, "")
    assert told in lines[-1]
    assert len(lines[-1]) < 400
