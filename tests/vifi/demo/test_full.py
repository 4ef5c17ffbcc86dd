"""With --full every system of the paper is trained, extracted and scored in the small world."""

from pathlib import Path

import pytest

from harness.results import read_rows
from reports.measurements import measurements
from reports.report import all_tables
from tests.reports.layouts.conftest import cell_of
from tests.vifi.demo.test_story import ROOT
from vifi.__main__ import run
from vifi.study.steps import Places, plan_steps
from vifi.study.study_file import read_study

FULL = f"{ROOT}/vifi/demo/demo-full.toml"
TINY_FULL = f"""
base = "{FULL}"
[values]
classes = 4
train_clips = 16
test_clips = 2
other_test_clips = 2
stills = 32
still_epochs = 1
epochs = 2
few_epochs = 2
novel_epochs = 2
followed = 8
[systems.vifi-clip-blend]
weights = "blend-0.5-step-00000008.safetensors"
"""
ASKED = (
    *("table1-mini-hmdb51", "table1-mini-hmdb51-vifi-clip", "table1-mini-hmdb51-others"),
    *("table2-mini-ssv2-x-clip", "table7-mini-hmdb51-vl-prompting", "table8-mini-ssv2-a5"),
    *("table4", "costs", "levers-of-weights"),
)


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("full")
    (folder / "full.toml").write_text(TINY_FULL, encoding="utf-8")
    words = ["study", str(folder / "full.toml"), "--out", str(folder / "out"), "--only", *ASKED]
    assert run(words) == 0
    return folder / "out"


def test_every_system_of_the_paper_is_asked_for_every_cell():
    """Of Tables 1 to 5, 7 and 8, by the names of what is trained."""
    study = read_study(Path(FULL))
    few = [f"{name}-k{k}" for name in ("image-ft", "x-clip", "vl-prompting") for k in (2, 4, 8, 16)]
    drawn = [f"{name}-s{n}" for name in ("text-ft", "actionclip-bridged", "a5") for n in (1, 2, 3)]
    for dataset in ("mini-hmdb51", "mini-ucf101", "mini-ssv2"):
        assert {f"{dataset}.{name}" for name in (*few, *drawn)} <= set(study.systems)
    steps = plan_steps(study, Places(out=Path("o")))
    assert sum(step.kind == "train" for step in steps) > 240
    # No system is trained for nothing.
    asked = {name for q in study.questions.values() for name in (*q.systems, *q.beside)}
    starts = {system.start for system in study.systems.values()}
    assert set(study.systems) <= asked | starts


@pytest.mark.slow
def test_cells_of_the_tables_are_filled(out):
    tables = {table.name: table for table in all_tables(measurements(read_rows(out)))}
    for method in ("ViFi-CLIP", "CLIP image-FT", "ActionCLIP", "X-CLIP", "A5", "Vanilla CLIP"):
        assert cell_of(tables["mini-table1"], method, "mini HMDB-51 Top-1").is_measured, method
    assert cell_of(tables["mini-table2"], "X-CLIP", "mini SSv2 HM").is_measured
    assert cell_of(tables["mini-table7"], "VL prompting", "mini HMDB-51 K = 16").is_measured
    assert cell_of(tables["mini-table8"], "A5", "mini SSv2 Novel").is_measured
    assert tables["mini-orderings"].rows
    assert any(row.label == "weights-blend-0.5" for row in tables["levers"].rows)


@pytest.mark.slow
def test_costs_are_counted_of_every_system(out):
    text = (out / "mini-table9.md").read_text(encoding="utf-8")
    assert "run 1" not in text
