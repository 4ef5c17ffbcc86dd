"""The steps of `benchmarks/gpu.sh`: each within its time, and all of them on a CPU."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tyro

from benchmarks import from_files, gpu_machine, gpu_steps, killed, training
from benchmarks.gpu_steps import STEPS, GpuRun, GpuStep, run_steps
from benchmarks.gpu_summary import summary
from vifi.bench.recording import add_row, read_rows
from vifi.bench.verb import BENCHMARKS
from vifistore.errors import UnknownNameError

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu.sh"
PROGRAMS = {
    "benchmarks.gpu_machine": gpu_machine.GpuMachine,
    "benchmarks.training": training.Training,
    "benchmarks.from_files": from_files.FromFiles,
    "benchmarks.killed": killed.Killed,
}


def saying(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def ended(out: Path) -> dict[str, str]:
    return {row["step"]: row["status"] for row in read_rows(out / "rows" / "gpu_steps.jsonl")}


def test_a_step_that_hangs_or_fails_stops_no_other(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gpu_steps, "_LEAST_SECONDS", 0.1)
    child = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    hangs = f"import os, time; os.fork(); {child}"
    steps = [
        GpuStep(name="hangs", seconds=1, commands=lambda run: [saying(hangs), saying("1")]),
        GpuStep(
            name="fails", seconds=9, commands=lambda run: [saying("exit(7)"), saying("print(5)")]
        ),
        GpuStep(name="good", seconds=9, commands=lambda run: [saying("print('made')")]),
    ]
    start = time.monotonic()
    assert not run_steps(GpuRun(out=tmp_path), steps)
    assert time.monotonic() - start < 8
    found = ended(tmp_path)
    assert found == {"hangs": "stopped after 1 s", "fails": "exit code 7", "good": "ok"}
    assert (tmp_path / "logs" / "fails.log").read_text().endswith("5\n")
    assert "made" in (tmp_path / "logs" / "good.log").read_text()
    assert "(step kernels: not run)" in (tmp_path / "summary.txt").read_text()
    started = Path("/proc") / (tmp_path / "pid").read_text() / "stat"
    # Nobody may have asked how a child of a child ended.
    assert not started.is_file() or started.read_text().split()[2] == "Z"


def test_a_step_has_what_those_before_it_left(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_steps, "_LEAST_SECONDS", 0.1)
    steps = [
        GpuStep(name="short", seconds=30, commands=lambda run: [saying("1")]),
        GpuStep(
            name="long", seconds=1, commands=lambda run: [saying("import time; time.sleep(2)")]
        ),
    ]
    assert run_steps(GpuRun(out=tmp_path), steps)
    assert ended(tmp_path) == {"short": "ok", "long": "ok"}


def test_steps_by_their_limits_fill_the_five_minutes():
    assert sum(step.seconds for step in STEPS) == gpu_steps._ALL_SECONDS


def test_all_steps_together_have_five_minutes(tmp_path):
    steps = [GpuStep(name="late", seconds=60, commands=lambda run: [saying("print('made')")])]
    run = GpuRun(out=tmp_path, begun=time.time() - 298)
    assert not run_steps(run, steps)
    assert ended(tmp_path) == {"late": "no time was left"}


def test_one_step_alone_has_all_the_time(tmp_path, capsys):
    steps = [GpuStep(name=name, seconds=0, commands=lambda run: [saying("1")]) for name in "ab"]
    assert run_steps(GpuRun(out=tmp_path, only="b"), steps)
    assert ended(tmp_path) == {"b": "ok"}
    with pytest.raises(UnknownNameError, match="'c'"):
        run_steps(GpuRun(out=tmp_path, only="c"), steps)


@pytest.mark.parametrize("is_dry", [False, True])
def test_every_command_is_one_that_its_program_takes(tmp_path, is_dry):
    run = GpuRun(out=tmp_path, dry_run=is_dry)
    kinds = set()
    for step in STEPS:
        for command in step.commands(run):
            assert command[0] == sys.executable
            if command[1:4] == ["-m", "vifi", "bench"]:
                name, *words = command[4:]
                kind = BENCHMARKS[name]
            elif command[2] in PROGRAMS:
                kind, words = PROGRAMS[command[2]], command[3:]
            else:
                assert step.name == "tests"
                continue
            settings = tyro.cli(kind, args=words)
            assert settings.out == tmp_path / "rows"
            assert settings.device == ("cpu" if is_dry else "cuda")
            kinds.add(kind)
    assert len(kinds) == 6


def test_a_line_for_each_target(tmp_path):
    machine = {"device": "NVIDIA H200", "device_type": "cuda"}
    share = {"share_of_matmul": 0.61, "frames_per_second": 12_000.0}
    encode = {"model": "ViT-B-16", "precision": "bf16", **share}
    files = {"decoder": "pyav", "share_of_slower": 0.95}
    train = {"way": "memory", "is_compiled": True, "matmul_share": 0.3}
    gone_on = {"equal": False, "largest_difference": 0.002, "faults": [], "videos": 9}
    rows = {
        "encode": [encode],
        "from_files": [files, {**files, "decoder": "other", "share_of_slower": 0.5}],
        "training": [train, {**train, "way": "cache", "matmul_share": 0.9}],
        "killed": [{**gone_on, "done_when_killed": 4}],
        "gpu_steps": [
            {"step": "tests", "status": "exit code 1"},
            {"step": "kernels", "status": "stopped after 55 s"},
        ],
    }
    for name, own in rows.items():
        for row in own:
            add_row(tmp_path / f"{name}.jsonl", {"benchmark": name, **machine, **row})
    lines = summary(tmp_path)
    assert len(lines) == 10
    told = "not measured (step kernels: stopped after 55 s)"
    assert lines[0] == f"none    temporal_pool, share of a copy's bandwidth: {told}"
    assert lines[5] == (
        "ok      ViT-B-16, share of the matrix product's rate: 0.61, wanted at least 0.6"
    )
    assert lines[6] == "MISSED  ViT-B-16, frames a second: 1.2e+04, wanted at least 13000"
    assert lines[7].startswith("MISSED  from files, other, share of the slower")
    assert lines[8].startswith(
        "MISSED  training from memory, share of the matrix product's rate: 0.3"
    )
    assert lines[9] == (
        "MISSED  tests of a GPU: exit code 1; "
        "killed extraction, 4 of 9 done: whole, embeddings 0.002 apart"
    )


def test_an_undisturbed_extraction_that_failed_is_told():
    killed._require_ended(subprocess.Popen(saying("1")))
    with pytest.raises(subprocess.CalledProcessError, match="exit status 3"):
        killed._require_ended(subprocess.Popen(saying("exit(3)")))


def test_extraction_from_files_beside_its_parts():
    settings = from_files.FromFiles(tiny=True, device="cpu", workers=1, decoders=("pyav", "none"))
    found, skipped = from_files.run(settings)
    assert (found["videos"], found["frames"], found["quarantined"]) == (8, 32, 0)
    slower = min(found["decode_frames_per_second"], found["encode_frames_per_second"])
    share = found["frames_per_second"] / slower
    # Rates are rounded to a tenth, which is much of a slow one.
    rounding = 0.1 * (1 + share) / slower
    assert found["share_of_slower"] == pytest.approx(share, abs=0.001 + rounding)
    assert skipped["skipped"].startswith("--decoder is 'none'")


@pytest.mark.parametrize("words", [[], ["a", "b", "c"], ["out", "no-such.tar.xz"]])
def test_a_wrong_call_is_one_line(tmp_path, words):
    done = subprocess.run([SCRIPT, *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_python_without_torch_is_one_line(tmp_path):
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\nexit 1\n")
    bare.chmod(0o700)
    environment = {**os.environ, "PYTHON": str(bare)}
    done = subprocess.run(
        [SCRIPT, tmp_path / "out"], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "there is no Python with torch and triton; name one, as PYTHON=/opt/python"
    ]
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_all_steps_on_a_cpu(tmp_path):
    environment = {**os.environ, "PYTHON": sys.executable}
    command = [SCRIPT, tmp_path / "out", "--dry-run"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ended(tmp_path / "out") == dict.fromkeys([step.name for step in STEPS], "ok")
    (row,) = read_rows(tmp_path / "out" / "rows" / "killed.jsonl")
    assert row["was_interrupted"]
    assert row["equal"]
    assert row["faults"] == []
    assert len((tmp_path / "out" / "summary.txt").read_text().splitlines()) == 10
