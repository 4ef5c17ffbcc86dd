"""What a run of `benchmarks/gpu.sh` reached: a line for each target."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from vifi.bench.recording import read_rows
from vifi.bench.speed_targets import BENCHMARK_OF, SpeedTarget, targets, worst

SUMMARY = "summary.txt"
# Benchmark of a target -> the step that runs it.
_STEP_OF = {
    "kernels": "kernels",
    "encode": "encode",
    "from_files": "pipeline",
    "training": "training",
}


def write_summary(out: Path) -> None:
    """Write `summary.txt` into a folder of rows, as far as there are any. Raises UsageError for
    what are no rows."""
    made = out / f"{SUMMARY}.part"
    made.write_text("\n".join(summary(out / "rows")) + "\n", encoding="utf-8")
    made.replace(out / SUMMARY)


def summary(folder: Path) -> list[str]:
    """Ten lines: what was reached of each target, of several sizes the worst, and whether the tests
    passed and a killed extraction went on."""
    rows = [row for path in sorted(folder.glob("*.jsonl")) for row in read_rows(path)]
    ended = {row["step"]: row["status"] for row in rows if row["benchmark"] == "gpu_steps"}
    reached = worst(targets(rows))
    lines = [
        _told(reached[kind]) if kind in reached else _lacking(kind, _STEP_OF[benchmark], ended)
        for kind, benchmark in BENCHMARK_OF.items()
    ]
    return [*lines, "; ".join(_checks(rows, ended))]


def _told(target: SpeedTarget) -> str:
    verdict = "ok" if target.is_reached else "MISSED"
    return f"{verdict:<7} {target.what}: {target.reached:.3g}, wanted {target.wanted}"


def _lacking(kind: str, step: str, ended: dict[str, str]) -> str:
    return f"{'none':<7} {kind}: not measured (step {step}: {ended.get(step, 'not run')})"


def _checks(rows: Sequence[dict], ended: dict[str, str]) -> Iterator[str]:
    status = ended.get("tests", "not run")
    yield f"{'ok' if status == 'ok' else 'MISSED':<7} tests of a GPU: {status}"
    found = [row for row in rows if row["benchmark"] == "killed"]
    if not found:
        yield f"killed extraction: not measured (step resume: {ended.get('resume', 'not run')})"
        return
    row = found[-1]
    same = "equal bytes" if row["equal"] else f"embeddings {row['largest_difference']:.1g} apart"
    state = "whole" if not row["faults"] else f"{len(row['faults'])} faults"
    yield f"killed extraction, {row['done_when_killed']} of {row['videos']} done: {state}, {same}"
