"""The examples run, each on a small store, as somebody would call them."""

import runpy
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.harness.conftest import planted_store
from tests.test_house import ROOT
from tests.vifi.conftest import searchable  # noqa: F401
from tests.vifi.made_tasks import files_of, offline_mteb, zero_shot_task
from vifistore.models.checkpoint_files import CheckpointHeader, save_checkpoint
from vifistore.models.registry import model_config
from vifistore.models.skeletons import new_model
from vifistore.store import open_store


def call(name: str, monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    """Run an example with these words behind its name."""
    path = ROOT / "examples" / f"{name}.py"
    monkeypatch.setattr("sys.argv", [str(path), *map(str, words)])
    runpy.run_path(str(path), run_name="__main__")


@pytest.fixture
def planted(tmp_path, monkeypatch) -> Path:
    """Path of a store with a good and a bad feature set of the dataset `toy`."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    maker = planted_store(tmp_path)
    maker.split("test1", range(60))
    maker.features(maker.frames(noise=1.0), name="good")
    maker.features(maker.frames(noise=8.0), name="bad", checkpoint="other", fusion="decision")
    maker.texts()
    maker.texts("other")
    return tmp_path / "S.zarr"


def test_the_ablation_makes_tables(planted, tmp_path, monkeypatch, capsys):
    where = (planted, "--dataset", "toy", "--split", "test1", "--features", "good", "bad")
    call("ablation_table", monkeypatch, *where, "--counts", 1, 2, "--out", tmp_path / "tables")
    told = capsys.readouterr().out.splitlines()
    # Two sets, three fusions, with all frames and with one and with two; and a heading.
    assert len(told) == 1 + 2 * 3 * 3
    written = {path.name for path in (tmp_path / "tables").iterdir()}
    names = ("fusion", "ablation-frames")
    assert written == {f"{name}.{kind}" for name in names for kind in ("md", "tex")}
    fusion = (tmp_path / "tables" / "fusion.md").read_text()
    assert "decision (bad)" in fusion
    assert "embedding (good)" in fusion
    assert r"\begin{tabular}" in (tmp_path / "tables" / "fusion.tex").read_text()


def test_the_figure_is_drawn(planted, tmp_path, monkeypatch, capsys):
    where = (planted, "--dataset", "toy", "--split", "test1", "--features", "good", "bad")
    call("tsne_figure", monkeypatch, *where, "--classes", 3, "--out", tmp_path / "figures" / "f")
    kinds = {path.suffix for path in (tmp_path / "figures").iterdir()}
    assert kinds == {".png", ".svg", ".pdf"}
    told = capsys.readouterr().out
    assert told.count("silhouette") == 2


@pytest.mark.parametrize("how", ["", "--moments"])
def test_words_find_videos(searchable, tmp_path, monkeypatch, how):  # noqa: F811
    out = tmp_path / "hits.csv"
    words = (searchable, "red run", "blue jump", "--k", 3, "--out", out, *filter(None, [how]))
    call("search_videos", monkeypatch, *words)
    hits = pd.read_csv(out)
    assert hits.groupby("query")["rank"].apply(list).to_dict() == {
        "blue jump": [1, 2, 3],
        "red run": [1, 2, 3],
    }
    assert (hits["score"].abs() <= 1).all()


def save_step(path: Path, step: int) -> None:
    """Write a checkpoint as a run named `full` leaves one at a step."""
    header = CheckpointHeader(
        model="vifi-tiny",
        config=model_config("vifi-tiny"),
        name=f"full@step-{step}",
        step=step,
        parent="",
        settings={},
    )
    save_checkpoint(path, new_model("vifi-tiny", step).state_dict(), header)


def test_checkpoints_are_extracted_and_scored(searchable, tmp_path, monkeypatch, capsys):  # noqa: F811
    store = Path(shutil.copytree(searchable, tmp_path / "s.zarr"))
    run = tmp_path / "run"
    run.mkdir()
    for step in (1, 2):
        save_step(run / f"step-{step:08d}.safetensors", step)
    words = (store, run, "--dataset", "d", "--model", "vifi-tiny", "--frames", 2)
    words += ("--device", "cpu", "--workers", 1, "--frame-cache", tmp_path / "cache")
    call("extract_checkpoints", monkeypatch, *words)
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told] == ["checkpoint", "full@step-1", "full@step-2"]
    for name in ("full@step-1", "full@step-2"):
        assert open_store(store).features("d", name).frames.shape[2] == 2


@pytest.mark.filterwarnings("ignore:Precision is ill-defined")
def test_a_task_of_mteb_is_scored(searchable, tmp_path, monkeypatch, capsys):  # noqa: F811
    mteb = offline_mteb(monkeypatch)
    files = files_of(searchable)
    made = {"MadeZeroShot": zero_shot_task(mteb, files)}
    monkeypatch.setattr(mteb, "get_task", made.get)
    words = (searchable, "MadeZeroShot", "--out", tmp_path / "mveb")
    call("mveb_scores", monkeypatch, *words)
    name, score = capsys.readouterr().out.split()[-2:]
    assert (name, 0 <= float(score) <= 1) == ("MadeZeroShot", True)
    assert len(list((tmp_path / "mveb").rglob("MadeZeroShot.json"))) == 1
    call("mveb_scores", monkeypatch, *words, "--videos", tmp_path / "videos")
    assert len(list((tmp_path / "videos" / "MadeZeroShot").glob("*.mp4"))) == len(files)
