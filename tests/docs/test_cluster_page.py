"""docs/CLUSTER.md: the plan is that of the rows that were measured, and examples are as told."""

import re

import pytest
import yaml

from benchmarks.cluster_plan import PAGE, bytes_a_video, plan, planned, requests_of
from tests.test_house import ROOT
from vifistore.store.schema import FEATURE_ARRAYS


def test_the_page_holds_the_plan_of_the_newest_rows():
    """`python -m benchmarks.cluster_plan` writes it."""
    page = PAGE.read_text(encoding="utf-8")
    assert planned(page) == page


def test_bytes_are_those_of_the_arrays():
    plain = 16 * 512 * 2 + 2 * 512 * 4 + 16 * 4
    texts = 68 + 4 + 4
    assert bytes_a_video(16, 512) == plain + texts + 2
    assert set(FEATURE_ARRAYS) == {
        *("frames", "view_mean", "view_consensus", "timestamps", "content_digest"),
        *("reason", "message", "attempts", "status"),
    }


def test_the_newest_row_of_each_thing_counts():
    def row(puts: float) -> dict:
        return {"what": "write", "put_a_block": puts, "list_a_block": 1, "get_a_block": 2} | {
            "head_a_block": 3
        }

    assert requests_of([row(9), row(10)]) == {"write": (11, 5)}
    decode = [{"workers": 2, "decoder": "decord", "videos_per_second": 20.0}]
    told = plan(decode, [row(9), row(10)])
    assert "| 206 GB | $5 | 4 at 10,000 frames/s, 15 at 3,000 |" in told
    # Ten videos a second and core, against 312.5 videos of 32 frames.
    assert "31-78 at 10,000 frames/s" in told
    assert "| write | 11.0 | 5.0 | 2.50 million | $8.91 |" in told


def test_the_job_for_kubernetes_runs_the_command_for_ray():
    text = PAGE.read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    spec = yaml.safe_load(block)["spec"]
    command, _, actors = spec["entrypoint"].strip().partition(" --actors ")
    assert f"\n{command}\n```" in text
    (workers,) = spec["rayClusterSpec"]["workerGroupSpecs"]
    # A cluster grows to what is asked for, from a machine that shows what an encoder takes.
    assert (workers["minReplicas"], workers["maxReplicas"]) == (1, int(actors))
    (container,) = workers["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.sbatch")), ids=lambda p: p.name)
def test_a_job_can_be_handed_in(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#!/bin/bash\n")
    directives = [line for line in text.splitlines() if line.startswith("#SBATCH ")]
    # SLURM reads none behind the first command.
    assert text.index("set -u") > text.index(directives[-1])
    assert f"sbatch examples/{path.name}" in (ROOT / "docs" / "CLUSTER.md").read_text("utf-8")
