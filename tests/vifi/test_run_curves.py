"""`vifi report --runs`: logs of trainings, and top-1 of the checkpoints that were followed."""

import json
from dataclasses import replace

import pytest

from harness.results import append_rows
from harness.results.run_histories import RunHistory
from tests.reports.conftest import NASTY, make_row

HEAD = "step,epoch,loss,accuracy,learning_rate,gradient_norm,num_views,seconds,data_seconds\n"


def log(folder, count, extra=""):
    folder.mkdir(parents=True)
    lines = [f"{n},{n / 10},{1 / n},{n / count},0.001,1.0,8,2.0,0.5\n" for n in range(1, count + 1)]
    (folder / "log.csv").write_text(HEAD + "".join(lines) + extra)
    return folder


@pytest.fixture
def results(tmp_path):
    append_rows(tmp_path / "out", [make_row()])
    return tmp_path / "out"


def test_a_log_becomes_a_curve_of_means(said, results, tmp_path):
    run = log(tmp_path / NASTY.replace("/", ""), 1000, extra="1001,nan,nan,")
    code, _, error = said("report", results, "--runs", run)
    assert code == 0, error
    (found,) = RunHistory.read_all(results)
    assert (found.name, found.num_steps, found.seconds) == (run.name, 1000, 2000.0)
    assert len(found.points) == 200
    assert found.points[0].step == 5
    assert found.points[0].loss == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 5)
    assert found.points[-1].accuracy == pytest.approx(0.998)
    assert found.points[7].videos_per_second == pytest.approx(4.0)
    page = (results / "index.html").read_text()
    assert NASTY not in page
    assert ">Training</h2>" in page
    # What is known stays on later pages.
    assert said("report", results)[0] == 0
    assert ">Training</h2>" in (results / "index.html").read_text()


def test_steps_without_a_view_have_no_loss(said, results, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    steps = [
        f"{n},0.1,{'nan,nan' if n % 2 else '0.5,0.25'},0.1,0,{8 * (n % 2 == 0)},1.0,0\n"
        for n in range(1, 401)
    ]
    (run / "log.csv").write_text(HEAD + "".join(steps))
    assert said("report", results, "--runs", run)[0] == 0
    (found,) = RunHistory.read_all(results)
    assert {point.loss for point in found.points} == {0.5}
    assert {point.accuracy for point in found.points} == {0.25}
    assert {point.videos_per_second for point in found.points} == {4.0}
    (run / "log.csv").write_text(HEAD + steps[0])
    assert said("report", results, "--runs", run)[0] == 0
    (found,) = RunHistory.read_all(results)
    assert [point.loss for point in found.points] == [None]


def test_what_is_no_step_is_left_out(said, results, tmp_path):
    steps = [f"{step},0.1,1,1,0.001,1.0,8,2.0,0.5\n" for step in ("nan", "inf", "1.5", "-1")]
    run = log(tmp_path / "run", 3, "".join(steps))
    assert said("report", results, "--runs", run)[0] == 0
    (history,) = RunHistory.read_all(results)
    assert [point.step for point in history.points] == [1, 2, 3]


def test_followed_checkpoints_are_scored_once(said, results, maker, tmp_path, monkeypatch):
    run = log(tmp_path / "run", 4)
    names = {n.name: n.checkpoint for n in maker.store.dataset("toy").names()}
    for name, noise, step in (("early", 6.0, 2), ("late", 1.0, 4)):
        maker.features(maker.frames(noise=noise, num_frames=step), name=name, checkpoint=name)
        maker.texts(name)
        names = {n.name: n.checkpoint for n in maker.store.dataset("toy").names()}
        about = {"digest": names[name], "epoch": step / 2}
        (run / f"step-{step:08d}.json").write_text(json.dumps(about))
    (run / "step-00000006.json").write_text(json.dumps({"digest": "f" * 12, "epoch": 3}))
    flags = ("--store", tmp_path / "S.zarr", "--runs", run, "--score", "toy/val1")
    code, _, error = said("report", results, *flags)
    assert code == 0, error
    (found,) = RunHistory.read_all(results)
    assert [(s.step, s.features, s.split) for s in found.scores] == [
        (2, "early", "val1"),
        (4, "late", "val1"),
    ]
    assert found.scores[0].ci_low < found.scores[0].value < found.scores[1].value
    assert f"{100 * found.scores[1].value:.1f} at step 4" in (results / "index.html").read_text()
    other = replace(found.scores[0], split="val2", made_of="")
    stale = replace(found.scores[1], value=0.1, made_of="before")
    RunHistory.add(results, [replace(found, scores=(found.scores[0], stale, other))])
    assert said("report", results, *flags)[0] == 0
    # What the checkpoint or the split was before is scored again; other splits stay.
    (again,) = RunHistory.read_all(results)
    assert again.scores == (*found.scores, other)
    monkeypatch.setattr("vifi.scoring.run_logs.zero_shot", None)
    assert said("report", results, *flags)[0] == 0
    assert RunHistory.read_all(results) == (again,)


def test_runs_of_one_name_are_told_apart(said, results, tmp_path):
    runs = [log(tmp_path / name / "run", 3) for name in "ab"]
    assert said("report", results, "--runs", *runs)[0] == 0
    assert [run.name for run in RunHistory.read_all(results)] == ["a/run", "b/run"]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--score", "toy/val1"), "give both"),
        (("--runs", "bad"), "is no log of vifi train"),
        (("--runs", "good", "--store", "S", "--score", "toy"), "is no DATASET/SPLIT"),
        (("--runs", "good", "--store", "S", "--score", "toy/x"), "unknown split of toy 'x'"),
    ],
)
def test_wrong_calls(said, results, maker, tmp_path, flags, told):
    log(tmp_path / "good", 3)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/log.csv").write_text("a,b\n1,2\n")
    places = {"S": "S.zarr", "good": "good", "bad": "bad"}
    words = [str(tmp_path / places[word]) if word in places else word for word in flags]
    code, _, error = said("report", results, *words)
    assert code == 2
    assert told in error


def test_a_folder_without_a_log_is_left_out(said, results, tmp_path):
    code, _, error = said("report", results, "--runs", tmp_path / "gone", log(tmp_path / "r", 3))
    assert code == 0
    assert "holds no log of a training" in error
    assert [run.name for run in RunHistory.read_all(results)] == ["r"]
