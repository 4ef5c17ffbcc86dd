"""`vifi demo --quick`, whole and twice: it learns, and the same both times."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.vifi.demo.test_story import VARIANTS, folder_of, weights_of
from vifi.demo.made_world import VANILLA

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def outs(tmp_path_factory) -> list[Path]:
    """Two runs side by side."""
    folder = tmp_path_factory.mktemp("quick")
    outs = [folder / name for name in ("first", "second")]
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "vifi", "demo", "--quick", "--out", str(out)],
            stdout=subprocess.DEVNULL,
        )
        for out in outs
    ]
    assert [process.wait() for process in runs] == [0, 0]
    return outs


def log_of(out: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder_of(out, name) / "log.csv")


@pytest.mark.parametrize("name", [VANILLA, *VARIANTS])
def test_loss_falls_and_accuracy_rises(outs, name):
    log = log_of(outs[0], name)
    quarter = len(log) // 4
    start, end = log[:quarter].mean(), log[-quarter:].mean()
    assert end["loss"] < 0.95 * start["loss"]
    assert end["accuracy"] > 1.2 * start["accuracy"]


def test_a_step_is_spent_on_the_model(outs):
    logs = pd.concat([log_of(outs[0], name) for name in VARIANTS])
    assert logs["data_seconds"].sum() < 0.2 * logs["seconds"].sum()


def test_from_bad_before_to_good_after(outs):
    scores = [pd.read_csv(out / "fusion.csv", index_col="row") for out in outs]
    by_embedding = scores[0][scores[0]["column"] == "embedding"]
    before = by_embedding["value"]["vanilla-clip"]
    tuned = by_embedding.set_index("features")
    assert before < 25
    assert tuned["ci_low"]["vifi-clip"] > by_embedding["ci_high"]["vanilla-clip"]
    assert tuned["value"]["vifi-clip"] > 2 * before
    pd.testing.assert_frame_equal(*scores)


def test_the_same_weights_twice(outs):
    for name in (VANILLA, *VARIANTS):
        first, second = (weights_of(out, name) for out in outs)
        assert first.keys() == second.keys()
        assert all((first[key] == second[key]).all() for key in first)
