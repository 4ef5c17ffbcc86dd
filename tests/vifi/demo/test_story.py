"""The demo leaves what it promises, and the same again for the same seed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.results import read_rows
from harness.results.json_artefacts import Summary
from vifi.__main__ import run
from vifi.demo.made_world import VANILLA
from vifi.demo.verb import run_demo
from vifistore.models.run_weights import weights_file
from vifistore.models.weights import read_weights
from vifistore.store import open_store

ROOT = Path(__file__).parents[3]
TUNED = "vifi-clip"
VARIANTS = ("image-ft", "text-ft", TUNED, "vifi-clip-decision", "vifi-clip-image")

# Everything happens, but hardly anything is learnt.
TINY = f"""
base = "{ROOT}/vifi/demo/demo-quick.toml"
[values]
classes = 4
train_clips = 2
test_clips = 3
stills = 32
still_epochs = 1
epochs = 3
followed = 1
[questions.few.flags]
shots = [1]
"""

LEFT = (
    *("index.html", "fusion.md", "fusion.csv", "fusion.tex", "zero-shot.md", "tsne.png"),
    *("results.jsonl", "store.zarr/zarr.json", "few-shot.md", "frames-curve.pdf"),
    *("artefacts/gallery.json", "artefacts/attention.json", "artefacts/provenance.json"),
    *("page/plotly.min.js", "artefacts/thumbnails/mini-k400/0.jpg"),
)


def told(folder: Path, text: str = TINY) -> Path:
    """The folder of a demo, made in a process of its own, as by a call of the verb."""
    folder.mkdir()
    (folder / "tiny.toml").write_text(text, encoding="utf-8")
    program = (
        "import sys; from pathlib import Path\n"
        "from vifi.demo.verb import run_demo\n"
        "sys.exit(run_demo(Path(sys.argv[1]), Path(sys.argv[2])))"
    )
    command = [sys.executable, "-c", program, str(folder / "tiny.toml"), str(folder / "out")]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return folder / "out"


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return told(tmp_path_factory.mktemp("demo") / "first")


def folder_of(out: Path, name: str) -> Path:
    """Where the training of a system is kept."""
    return out / "world" / name if name == VANILLA else out / "runs" / name


def weights_of(out: Path, name: str) -> dict:
    """What training left of a system."""
    return read_weights(weights_file(folder_of(out, name)))


@pytest.mark.slow
def test_leaves_what_it_promises(out, capsys):
    for name in LEFT:
        assert (out / name).is_file(), name
    assert run(["info", str(out / "store.zarr"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (dataset,) = document["datasets"].values()
    # Those of three steps were encoded while training went on; the last is the tuned model.
    followed = {f"{TUNED}@step-{step}" for step in (1, 2, 3)}
    names = {name for features in dataset["features"] for name in features["names"]}
    assert names == {VANILLA, *VARIANTS, *followed}
    # Text tuning leaves the image tower as it was, so its clips were not encoded again; a first
    # step at learning rate 0 leaves all of it.
    assert len(dataset["features"]) == len(VARIANTS) + 1
    assert all(features["sealed"] for features in dataset["features"])
    assert len(document["checkpoints"]) == 1 + len(VARIANTS) + 1


@pytest.mark.slow
def test_the_page_begins_with_the_gain_and_tells_the_seconds(out):
    lines = Summary.read(out).lines
    assert len([line for line in lines if "paired bootstrap over 12 videos" in line]) == 5
    assert "5 trainings took" in lines[-1]
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "5 trainings took" in page
    assert "vifi train supervised_k400" in page


@pytest.mark.slow
def test_a_second_call_goes_on(out, capsys):
    assert run_demo(out.parent / "tiny.toml", out) == 0
    assert "0 to do" in capsys.readouterr().out


@pytest.mark.slow
def test_the_page_and_all_it_shows_are_small(out):
    made = ("store.zarr", "store.zarr.cache", "runs", "world", "frames")
    shown = [
        path
        for path in out.rglob("*")
        if path.is_file() and path.relative_to(out).parts[0] not in made
    ]
    assert sum(path.stat().st_size for path in shown) < 15e6


@pytest.mark.slow
def test_same_seed_same_table_and_weights(out, tmp_path):
    outs = out, told(tmp_path / "second")
    first, second = ([(row.key, row.value) for row in read_rows(out)] for out in outs)
    assert first == second
    assert (outs[0] / "fusion.csv").read_bytes() == (outs[1] / "fusion.csv").read_bytes()
    for name in (VANILLA, *VARIANTS):
        weights = [weights_of(out, name) for out in outs]
        assert all((weights[0][key] == weights[1][key]).all() for key in weights[0])


@pytest.mark.slow
def test_only_what_was_to_be_trained_changed(out):
    start = weights_of(out, VANILLA)

    def changed(name: str) -> set[str]:
        weights = weights_of(out, name)
        return {key for key in start if not (weights[key] == start[key]).all()}

    assert changed("image-ft") == {key for key in start if key.startswith("visual.")}
    assert not any(key.startswith("visual.") for key in changed("text-ft"))
    assert "text_projection" in changed("text-ft")
    assert "logit_scale" not in changed("text-ft")
    assert {"visual.proj", "text_projection", "logit_scale"} <= changed("vifi-clip")
    assert all("token_embedding.weight" not in changed(name) for name in VARIANTS)


@pytest.mark.slow
def test_cached_embeddings_are_those_of_the_checkpoint(out):
    store = open_store(out / "store.zarr")
    sets = [store.features("mini-k400", name) for name in (VANILLA, "vifi-clip")]
    assert not np.allclose(*(features.read("view_mean") for features in sets))


def test_quick_and_full_exclude_each_other(capsys):
    for other in ("--full", "--world"):
        assert run(["demo", "--quick", other]) == 2
        assert "exclude each other" in capsys.readouterr().err
    assert run(["demo", "--classes", "4"]) == 2
    assert "those of --world" in capsys.readouterr().err
