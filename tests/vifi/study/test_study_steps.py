"""The plan of a study: a function of its file."""

import tomllib
from pathlib import Path

import pytest

from tests.vifi.study.conftest import STUDY
from vifi.study.costs import MACHINES, StepCost, Tower, VideoCounts, costs
from vifi.study.ledger import digests
from vifi.study.steps import Places, Step, flag_words, plan_steps
from vifi.study.study_file import parse_study
from vifi.study.study_parts import Study
from vifi.study.words import on_cluster
from vifistore.errors import UnknownNameError, UsageError

PLACES = Places(out=Path("o"))
RUNS = ("o/runs/full-s1", "o/runs/full-s2")


HEAD = """
[systems.head]
start = "clip"
head = "a5"
dataset = "d"
[datasets.e]
[questions.elsewhere]
ask = "evaluate zero-shot"
systems = ["head"]
dataset = "e"
"""


def study(text: str = STUDY) -> Study:
    return parse_study(tomllib.loads(text))


def plan(text: str = STUDY, *only: str) -> dict[str, Step]:
    return {step.name: step for step in plan_steps(study(text), PLACES, only)}


def test_every_step_comes_behind_what_it_needs():
    steps = plan()
    assert list(steps) == [
        "scan d",
        "extract clip of d",
        *("train full-s1", "extract full-s1 of d"),
        *("train full-s2", "extract full-s2 of d"),
        *("ask table of clip", "ask table of full-s1", "ask table of full-s2"),
        *("ask fusions", "report"),
    ]
    seen: set[str] = set()
    for step in steps.values():
        assert seen.issuperset(step.needs)
        seen.add(step.name)
    (command,) = steps["extract full-s2 of d"].commands
    assert command[:8] == (
        *("extract", "o/store.zarr", "--dataset", "d", "--model", "vifi-tiny"),
        *("--pretrained", "o/runs/full-s2"),
    )


def test_a_question_alone_needs_no_other_systems():
    assert "train full-s2" not in plan(STUDY, "fusions")
    assert "train full-s1" in plan(STUDY, "fusions")
    with pytest.raises(UnknownNameError, match="question 'fusion'"):
        plan(STUDY, "fusion")


def test_seeds_of_one_system_are_asked_together():
    asked = plan(STUDY.replace("[questions.fusions]", "together = true\n[questions.fusions]"))
    (command,) = asked["ask table"].commands
    assert command[5:9] == ("--features", "clip", "full-s1", "full-s2")


def test_what_is_compared_with_is_made_before():
    compared = STUDY.replace('systems = ["clip", "full-*"]', 'systems = ["full-*"]')
    steps = plan(compared.replace("[questions.fusions]", 'against = ["clip"]\n[questions.fusions]'))
    step = steps["ask table of full-s2"]
    assert step.needs == ("extract full-s2 of d", "extract clip of d")
    assert step.commands[0][5:9] == ("--features", "full-s2", "--against", "clip")
    each = 'against = ["full-s2", "clip"]\n[questions.fusions]'
    steps = plan(compared.replace("[questions.fusions]", each))
    assert [steps[f"ask table of full-s{n}"].commands[0][8] for n in (1, 2)] == ["full-s2", "clip"]


def test_weights_that_a_run_wrote_beside_its_own_are_a_system():
    blend = '[systems.blend]\nstart = "full-s1"\nweights = "b.safetensors"\n'
    steps = plan(
        STUDY.replace('"full-*"', '"blend"').replace(
            "[questions.table]", blend + "[questions.table]"
        )
    )
    step = steps["extract blend of d"]
    assert step.needs == ("train full-s1", "scan d")
    assert step.commands[0][6:8] == ("--pretrained", "o/runs/full-s1/b.safetensors")


def test_costs_are_asked_of_weights_one_by_one_and_of_no_dataset():
    asked = '[questions.costs]\nask = "bench compute"\nsystems = ["clip", "full-s1"]'
    steps = plan(STUDY + asked)
    assert steps["ask costs of clip"].needs == ()
    assert steps["ask costs of full-s1"].needs == ("train full-s1",)
    assert steps["ask costs of full-s1"].commands[0] == (
        *("bench", "compute", "--model", "vifi-tiny", "--pretrained", "o/runs/full-s1"),
        *("--features", "full-s1", "--results", "o"),
    )


def test_a_value_that_looks_like_a_flag_is_joined_to_its_own():
    assert flag_words({"with": "--poll 1"}) == ("--with=--poll 1",)


def test_a_later_dataset_may_start_from_a_system_below_it():
    below = STUDY.replace('start = "clip"', 'start = "late"')
    below += '[systems.late]\nstart = "clip"\npreset = "few_shot"\ndataset = "d"\nsplit = "train"\n'
    names = list(plan(below))
    assert names.index("train late") < names.index("train full-s1")


def test_a_head_is_trained_on_cached_frames_and_applied_elsewhere():
    text = (
        STUDY
        + """
[datasets.e]
[systems.head]
features = "a5"
start = "clip"
head = "a5"
dataset = "d"
split = "train"
[questions.elsewhere]
ask = "evaluate zero-shot"
systems = ["head"]
dataset = "e"
"""
    )
    steps = plan(text, "elsewhere")
    assert list(steps) == [
        *("scan d", "scan e", "extract clip of d", "extract clip of e"),
        *("train head", "extract head of e", "ask elsewhere", "report"),
    ]
    (applied,) = steps["extract head of e"].commands
    assert applied[2:] == (
        *("--dataset", "e", "--features", "clip", "--name", "a5"),
        *("--apply", "o/runs/head.safetensors"),
    )
    (asked,) = steps["ask elsewhere"].commands
    assert asked[5:7] == ("--features", "a5")


def test_frames_that_a_cache_cannot_hold_are_decoded_each_time():
    small = study(STUDY.replace("[extract]", "[extract]\nframe-cache-gb = 0.0001"))
    found = costs(small, VideoCounts(datasets={"d": 100}, trained_on={}))
    assert found["extract clip of d"].decoded == found["extract full-s1 of d"].decoded == 200


def test_flags_as_words():
    flags = {"a": True, "mixing": False, "n": [1, 2], "rate": 0.5, "name": "x y", "none": []}
    assert flag_words(flags) == (
        *("--a", "--no-mixing", "--n", "1", "2", "--rate", "0.5", "--name", "x y", "--none"),
    )


def test_what_changes_is_done_again_and_what_follows_from_it():
    def known(text: str) -> dict[str, str]:
        return digests(plan_steps(study(text), PLACES), PLACES.out)

    one = known(STUDY)
    other = known(STUDY.replace('flags = { seed = "{seed}" }', "flags = { seed = 3 }"))
    assert {name for name in one if one[name] != other[name]} == {
        *("train full-s1", "extract full-s1 of d", "train full-s2", "extract full-s2 of d"),
        # The page is made whenever something was answered.
        *("ask table of full-s1", "ask table of full-s2", "ask fusions"),
    }


def test_files_beside_a_study_in_the_same_folder_are_part_of_what_a_step_is_known_by(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/classes.csv").write_text("a")
    text = STUDY.replace('"VIDEOS"', '"lists/all.csv", "--labels=lists/classes.csv"')
    known = []
    for name in ("all", "classes"):
        (tmp_path / f"lists/{name}.csv").write_text("b")
        here = Places(out=Path())
        known.append(digests(plan_steps(study(text), here), here.out)["scan d"])
    assert known[0] != known[1]
    # What a training writes is no part of what the next step is known by.
    (tmp_path / "runs").mkdir()
    head = plan_steps(study(STUDY + HEAD), here)
    before = digests(head, here.out)["extract head of e"]
    (tmp_path / "runs/head.safetensors").write_text("weights")
    assert digests(head, here.out)["extract head of e"] == before


def test_two_steps_have_no_file_in_common():
    clash = '[questions."table_of_clip"]\nask = "evaluate zero-shot"\nsystems = ["clip"]\n'
    told = "ask table of clip and ask table_of_clip would be noted in one file"
    with pytest.raises(UsageError, match=told):
        plan(STUDY + clash + 'dataset = "d"\nflags = { split = "test" }\n')


def test_what_a_step_leaves_is_looked_for():
    steps = plan()
    assert steps["scan d"].makes == steps["extract clip of d"].makes == ("o/store.zarr",)
    assert steps["ask fusions"].makes == steps["ask table of clip"].makes == ("o/results.jsonl",)
    # The features of a head on its own dataset come with its training.
    assert plan(STUDY + HEAD)["train head"].makes == ("o/runs/head.safetensors", "o/store.zarr")


def test_costs_are_counted():
    found = costs(study(), VideoCounts(datasets={"d": 100}, trained_on={"full-s1": 60}))
    tower = Tower.of(study(), study().systems["clip"])
    # 17 tokens of 64 numbers through 4 blocks; 8 x 8 x 3 levels a patch.
    assert tower.flops == 2 * 17 * (4 * (12 * 64**2 + 2 * 17 * 64) + 3 * 64 * 64)
    trained = found["train full-s1"]
    assert (trained.videos, trained.frames, trained.decoded) == (120, 240, 240)
    assert trained.flops == 3 * tower.flops * 240
    # The second finds the frames that the first decoded; of its split nothing is known.
    assert (found["train full-s2"].videos, found["train full-s2"].decoded) == (200, 0)
    encoded = found["extract clip of d"]
    assert (encoded.frames, encoded.decoded) == (200, 200)
    assert found["extract full-s1 of d"].decoded == 0
    assert StepCost(decoded=round(MACHINES[0].decoded_frames * 7200)).hours(MACHINES[0]) == (
        pytest.approx(2)
    )
    assert (trained + encoded).frames == 440


def test_a_vit_b_16_is_as_the_paper_counts_it():
    model = study(STUDY.replace("vifi-tiny", "ViT-B-16-quickgelu"))
    # Table 6: 281 G multiply-adds of 16 frames.
    assert Tower.of(model, model.systems["clip"]).flops * 16 / 2 == pytest.approx(281e9, rel=0.01)


def test_the_report_reads_the_study_where_it_says_what_tables_show(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.toml").write_text("")
    (tmp_path / "small.toml").write_text('base = "base.toml"')
    places = Places(out=Path("o"), study="small.toml")
    page = plan_steps(study(), places)[-1]
    assert page.reads == ("small.toml", str(tmp_path / "base.toml"))
    known = digests([*plan_steps(study(), places)], places.out)["report"]
    (tmp_path / "base.toml").write_text("[train]")
    assert digests([*plan_steps(study(), places)], places.out)["report"] != known
    plain, said = (
        plan_steps(study(text), places)[-1].commands[0]
        for text in (STUDY, STUDY + '[tables.fusion]\nrows = ["clip"]\n')
    )
    assert plain == (*("report", "o", "--store", "o/store.zarr"), "--runs", *RUNS)
    scored = plan_steps(study(STUDY + '[report]\nscore = "d/test"\n'), places)[-1].commands[0]
    assert scored == (*plain, "--score", "d/test")
    assert said == (*plain, "--tables", "small.toml")
    with pytest.raises(UsageError, match="rows is 'clip'; give a list of texts"):
        study(STUDY + '[tables.fusion]\nrows = "clip"\n')


def test_only_extractions_go_to_a_cluster():
    assert on_cluster(("extract", "s"), "ray") == ("extract", "s", "--on", "ray")
    assert on_cluster(("extract", "s"), "") == ("extract", "s")
    assert on_cluster(("train", "s"), "ray") == ("train", "s")
