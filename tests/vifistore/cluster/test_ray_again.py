"""A retry, a repair and a follower of checkpoints on Ray give what one process gives."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.vifistore.cluster.conftest import ROOT, finish, flags, raylets
from tests.vifistore.extract.conftest import scan, write_clip
from vifistore.models.checkpoint_files import CheckpointHeader, save_checkpoint
from vifistore.models.towers import load_model
from vifistore.store import open_store
from vifistore.store.verifying.verify import verify_store

pytestmark = pytest.mark.slow


def alone(*words: object) -> None:
    """Run a command that quarantines something, by itself."""
    command = [sys.executable, "-m", "vifi", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode in (0, 3), done.stderr


def sealed(store: Path) -> dict | None:
    """The seal of the set, all of which is well."""
    assert list(verify_store(open_store(store))) == []
    return open_store(store).features("d", "n").sealed


@pytest.fixture
def store(tmp_path) -> Path:
    """A sealed set of 70 videos, of which 3 and 66 are broken."""
    folder, path = tmp_path / "v", tmp_path / "s.zarr"
    for number in range(70):
        write_clip(folder / f"{number:02}.mp4", seed=number, num_frames=4, size=(32, 32))
    for number in (3, 66):
        (folder / f"{number:02}.mp4").write_text(f"no video {number}")
    scan(path, folder)
    alone("extract", path, *flags())
    return path


def test_a_retry_gives_what_one_process_gives(store, tmp_path):
    other = shutil.copytree(store, tmp_path / "other.zarr")
    for number in (3, 66):
        clip = tmp_path / "v" / f"{number:02}.mp4"
        write_clip(clip, seed=number, num_frames=4, size=(32, 32))
    alone("extract", other, *flags(), "--retry")
    with raylets(1, 1) as cluster:
        report, _ = finish(cluster.start(store, "--retry"))
    assert (report["encoded"], report["num_quarantined"], report["sealed"]) == (2, 0, True)
    assert sealed(store) == sealed(other) is not None
    runs = open_store(store).features("d", "n").provenance
    assert {run["purpose"] for run in runs} == {"extract", "retry"}


def test_a_repair_gives_the_bytes_that_were_sealed(store):
    before = sealed(store)
    (chunk,) = store.glob("features/d/*/frames/c.1.*")
    chunk.write_bytes(chunk.read_bytes()[:-9])
    with raylets(1, 1) as cluster:
        report, said = finish(cluster.start(store, "--repair"), 3)
    assert (report["encoded"], report["quarantined"], report["sealed"]) == (5, 1, True)
    assert "is again as it was sealed" in said
    assert sealed(store) == before


def test_each_checkpoint_is_given_to_the_cluster_as_it_appears(tmp_path):
    tiny = load_model("vifi-tiny", "none")
    for step in (1, 2):
        state = {key: value.clone() for key, value in tiny.clip.state_dict().items()}
        state["visual.proj"] += step
        of_run = {"name": f"run@step-{step}", "step": step, "parent": tiny.digest, "settings": {}}
        header = CheckpointHeader(model=tiny.model, config=tiny.config, **of_run)
        save_checkpoint(tmp_path / "run" / f"step-{step}.safetensors", state, header)
    for number in range(66):
        write_clip(tmp_path / "v" / f"{number:02}.mp4", seed=number, num_frames=4, size=(32, 32))
    stores = [scan(tmp_path / f"{name}.zarr", tmp_path / "v").path for name in ("ray", "alone")]
    words = ["--dataset", "d", "--frames", "2", "--precision", "fp32", "--device", "cpu", "--once"]
    alone("watch", tmp_path / "run", stores[1], *words, "--workers", "1")
    with raylets(1, 1) as cluster:
        command = [sys.executable, "-m", "vifi", "watch", str(tmp_path / "run"), str(stores[0])]
        command += [*words, "--json", "--on", "ray", "--cores", "1"]
        environment = {**cluster.environment, "RAY_ADDRESS": cluster.address}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        first = finish(subprocess.Popen(command, cwd=ROOT, env=environment, **pipes))
        again = finish(subprocess.Popen(command, cwd=ROOT, env=environment, **pipes))
    encoded = [
        [c["features"]["encoded"] for c in told["checkpoints"]] for told, _ in (first, again)
    ]
    assert encoded == [[66, 66], [0, 0]]
    found = [
        [open_store(path).features("d", f"run@step-{step}").sealed for step in (1, 2)]
        for path in stores
    ]
    assert found[0] == found[1]
    assert json.dumps(found[0][0]) != json.dumps(found[0][1])
    assert list(verify_store(open_store(stores[0]))) == []
