"""What `benchmarks/gpu.sh` runs on a machine with a GPU: each step within its own time.

    python -m benchmarks.gpu_steps OUT [--only STEP] [--dry-run]

A step is commands, which may take its seconds together, and what the steps before it have left, and
are killed then, with what they started. Their output is in `OUT/logs/STEP.log`, their rows in
`OUT/rows/`, how they ended in `OUT/rows/gpu_steps.jsonl`; after each step `OUT/summary.txt` is
written anew. A step that fails stops no other.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import tyro

from benchmarks.gpu_summary import SUMMARY, write_summary
from vifi.bench.recording import add_row
from vifistore.errors import UnknownNameError

_ROOT = Path(__file__).parents[1]
_ALL_SECONDS = 300.0
# A dry run is for machines of any speed.
_DRY_TIMES = 8
# Less is not worth a start.
_LEAST_SECONDS = 5.0
# What a step that is told to end may take to do so.
_GRACE_SECONDS = 5.0

Command = list[str]


@dataclass(frozen=True, kw_only=True)
class GpuRun:
    """A run of all steps, or of one."""

    out: tyro.conf.Positional[Path]
    """Folder of summary, rows and logs."""
    only: str = ""
    """Step to run alone, in all the time there is."""
    dry_run: bool = False
    """Go through the steps on a CPU at tiny sizes."""
    begun: float = 0.0
    """When the five minutes began, seconds since 1970; 0 is now."""

    @property
    def rows(self) -> Path:
        """Folder of the rows."""
        return self.out / "rows"

    @property
    def device(self) -> str:
        """Where steps compute."""
        return "cpu" if self.dry_run else "cuda"


@dataclass(frozen=True, kw_only=True)
class GpuStep:
    """One step."""

    name: str
    seconds: float
    """Its share of the time, which it may exceed by what others left."""
    commands: Callable[[GpuRun], list[Command]]
    """What it runs, one after the other."""


def _module(run: GpuRun, name: str, *words: object) -> Command:
    """A program that adds rows."""
    return [sys.executable, "-m", *name.split(), *map(str, words), "--out", str(run.rows)]


def _versions(run: GpuRun) -> list[Command]:
    return [_module(run, "benchmarks.gpu_machine", "--device", run.device)]


def _tests(run: GpuRun) -> list[Command]:
    """Tests that are marked, and the checks of kernels, which one of those would run one by one."""
    folder = _ROOT / "tests"
    marked = [path for path in sorted(folder.rglob("test_*.py")) if "mark.gpu" in path.read_text()]
    marked = [path for path in marked if path.name != "test_kernels_run.py"]
    checks = sorted((folder / "vifistore" / "kernels").glob("check_*.py"))
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    # Other packages of the machine bring plugins, and warn of what is theirs.
    pytest += ["--disable-plugin-autoload", "-p", "xdist.plugin", "-W", "default"]
    pytest += ["-n", str(min(12, _cores() - 1))]
    of_kernels = [*pytest, "--collect-only"] if run.dry_run else pytest
    own = [
        *pytest,
        "-m",
        "gpu",
        "--deselect",
        str(folder / "vifistore/kernels/test_kernels_run.py"),
    ]
    return [[*of_kernels, *map(str, checks)], [*own, *map(str, marked)]]


def _kernels(run: GpuRun) -> list[Command]:
    sizes = ["--pool-frames", "8", "32", "--pool-dims", "512", "768"]
    if run.dry_run:
        tiny = "--num-views 2 --num-frames 2 --dim 16 --num-classes 3 --size 8 --repeats 1"
        sizes = f"{tiny} --pool-frames 2 --pool-dims 16 --pool-values 64".split()
    return [_module(run, "vifi bench kernels", "--device", run.device, *sizes)]


def _encode(run: GpuRun) -> list[Command]:
    model = ["--model", "vifi-tiny", "--repeats", "1"] if run.dry_run else ["--model", "ViT-B-16"]
    common = ["--device", run.device, "--precisions", "bf16", *model]
    # That of extractions first: what is compiled for it serves the pipeline, too.
    batches = (4, 2) if run.dry_run else (512, 256)
    return [_module(run, "vifi bench encode", *common, "--batch", batch) for batch in batches]


def _training(run: GpuRun) -> list[Command]:
    sizes = ["--model", "ViT-B-16-quickgelu", "--num-frames", 8, "--batch-size", 64, "--epochs", 6]
    if run.dry_run:
        sizes = ["--model", "vifi-tiny", "--num-frames", 1, "--batch-size", 12, "--epochs", 2]
    sizes += ["--clips", 1 if run.dry_run else 8]
    how = ["--device", run.device, "--decoder", "pyav", "--ways", "memory"]
    how += [] if run.dry_run else ["--workers", 8]
    return [_module(run, "benchmarks.training", *how, *sizes)]


def _pipeline(run: GpuRun) -> list[Command]:
    sizes = ["--tiny"] if run.dry_run else []
    return [_module(run, "benchmarks.from_files", "--device", run.device, *sizes)]


def _resume(run: GpuRun) -> list[Command]:
    sizes = ["--tiny"] if run.dry_run else []
    return [_module(run, "benchmarks.killed", "--device", run.device, *sizes)]


STEPS = (
    # With what gpu.sh took to install the wheels.
    GpuStep(name="versions", seconds=35, commands=_versions),
    GpuStep(name="tests", seconds=40, commands=_tests),
    GpuStep(name="kernels", seconds=45, commands=_kernels),
    GpuStep(name="encode", seconds=50, commands=_encode),
    GpuStep(name="training", seconds=55, commands=_training),
    GpuStep(name="pipeline", seconds=50, commands=_pipeline),
    GpuStep(name="resume", seconds=25, commands=_resume),
)


def run_steps(run: GpuRun, steps: Sequence[GpuStep] = STEPS) -> bool:
    """Run the steps, or the one that is asked for; whether all went well.

    Raises UnknownNameError for a step that there is not.
    """
    # A machine that has just started may put its clock right at any moment.
    spent = min(max(time.time() - run.begun, 0.0), _ALL_SECONDS) if run.begun else 0.0
    begun, times = time.monotonic() - spent, _DRY_TIMES if run.dry_run else 1
    by_name = {step.name: step for step in steps}
    if run.only and run.only not in by_name:
        raise UnknownNameError("step", run.only, by_name)
    (run.out / "logs").mkdir(parents=True, exist_ok=True)
    ended, due = [], _ALL_SECONDS if run.only else 0.0
    for step in [by_name[run.only]] if run.only else steps:
        due = min(due + step.seconds, _ALL_SECONDS)
        ended.append(_run_step(run, step, begun + times * due - time.monotonic()))
        write_summary(run.out)
    print((run.out / SUMMARY).read_text(encoding="utf-8"))
    return all(status == "ok" for status in ended)


def _run_step(run: GpuRun, step: GpuStep, seconds: float) -> str:
    """Run the commands of a step in so many seconds, and keep how they ended."""
    print(f"== {step.name}, at most {max(seconds, 0):.0f} s", flush=True)
    start = time.monotonic()
    statuses = []
    with open(run.out / "logs" / f"{step.name}.log", "a", encoding="utf-8") as log:
        for command in step.commands(run):
            left = start + seconds - time.monotonic()
            statuses.append(_run_command(command, left, log))
    status = next((status for status in statuses if status != "ok"), "ok")
    taken = round(time.monotonic() - start, 1)
    print(f"== {step.name}: {status}, {taken} s", flush=True)
    row = {"benchmark": "gpu_steps", "step": step.name, "status": status, "seconds": taken}
    add_row(run.rows / "gpu_steps.jsonl", row | {"is_dry": run.dry_run, "time": time.time()})
    return status


def _run_command(command: Command, seconds: float, log: IO[str]) -> str:
    """Run a command with its output in a log: "ok", or how else it ended."""
    print(f"$ {json.dumps(command)}", file=log, flush=True)
    if seconds < _LEAST_SECONDS:
        return "no time was left"
    process = subprocess.Popen(
        command, stdout=log, stderr=subprocess.STDOUT, cwd=_ROOT, start_new_session=True
    )
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        _signal(process, signal.SIGTERM)
        return f"stopped after {seconds:.0f} s"
    finally:
        _end(process)
    return "ok" if code == 0 else f"exit code {code}"


def _end(process: subprocess.Popen) -> None:
    """End a command, if it has not ended, and all that it started."""
    try:
        process.wait(_GRACE_SECONDS if process.poll() is None else 0)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen, number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _cores() -> int:
    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    sys.exit(0 if run_steps(tyro.cli(GpuRun, description=__doc__)) else 1)
