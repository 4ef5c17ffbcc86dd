"""`make mutations`: apply each mutation in a copy of the tree and see its tests fail.

    python -m tests.mutations                         # all: minutes
    python -m tests.mutations --changed REV           # those of changed files, and ten more
    python -m tests.mutations --only harness/         # those of some files

Ends with 1 if one lives, no longer applies, or its tests fail without it.
"""

import argparse
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutations.mutation import Mutation, of_files, read_mutations, rotating
from vifi.bench.machine import machine
from vifi.bench.recording import add_row

ROOT = Path(__file__).parents[2]
ROWS = ROOT / "benchmarks" / "results" / "mutations.jsonl"
# A mutation may make an endless loop: that is noticed, too.
_SECONDS = 300
_TESTS_FAILED = 1


def main(arguments: Sequence[str]) -> int:
    """Run the mutations that the arguments choose; return the exit code."""
    wanted = _parse(arguments)
    chosen = _choose(read_mutations(), wanted)
    start = time.monotonic()
    lives, untried = check(
        chosen,
        ROOT,
        processes=wanted.processes,
        seconds=60 * wanted.minutes or math.inf,
        is_tested=wanted.tested,
    )
    seconds = time.monotonic() - start
    for line in lives:
        print(f"FAILED {line}")
    tried = len(chosen) - untried
    print(f"{tried - len(lives)} of {tried} mutations noticed in {seconds:.0f} s")
    if untried:
        print(f"{untried} more were not tried for lack of time")
    if wanted.row:
        _write_row(len(chosen), len(lives), seconds, wanted.processes)
    return 1 if lives else 0


def check(
    mutations: Sequence[Mutation],
    root: Path,
    *,
    files: Sequence[str] = (),
    processes: int = 2,
    seconds: float = math.inf,
    is_tested: bool = False,
) -> tuple[list[str], int]:
    """Say of each mutation that is not noticed why, and how many were not tried: none is begun
    after so many seconds.

    Unless `is_tested`, the tests are run without any mutation first. The `files` below `root` are
    copied, all that git would track if none are given.
    """
    end = time.monotonic() + seconds
    files = files or _git("ls-files", "--cached", "--others", "--exclude-standard", root=root)
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(processes):
            copies.put(_copy(root, files, Path(folder) / str(number)))
        first = copies.get()
        tests = sorted({test for mutation in mutations for test in mutation.tests})
        if tests and not is_tested:
            all_tests = [*tests, "-n", str(processes)]
            if ended := _run(all_tests, first, seconds=None):
                return [f"tests end with {ended} without any mutation; mend them first"], 0
        copies.put(first)

        def one(mutation: Mutation) -> str | None:
            if time.monotonic() > end:
                return None
            copy = copies.get()
            try:
                return _why_not_noticed(mutation, copy)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(processes) as pool:
            found = list(pool.map(one, mutations))
        return [why for why in found if why], found.count(None)


def _why_not_noticed(mutation: Mutation, copy: Path) -> str:
    """Why a mutation is not noticed by its tests; empty if it is."""
    path = copy / mutation.file
    text = path.read_text(encoding="utf-8")
    try:
        path.write_text(mutation.applied(text), encoding="utf-8")
        ended = _run(mutation.tests, copy)
    except ValueError as error:
        return str(error)
    except subprocess.TimeoutExpired:
        return ""
    finally:
        path.write_text(text, encoding="utf-8")
    if ended == _TESTS_FAILED:
        return ""
    why = "LIVES" if ended == 0 else f"pytest ended with {ended}"
    return f"{why}: {mutation.name}  ({' '.join(mutation.tests)})"


def _run(tests: Sequence[str], copy: Path, seconds: float | None = _SECONDS) -> int:
    """How pytest ends, run from a copy of the tree that nothing is imported from elsewhere in."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    if "-n" in tests:
        command += ["-p", "xdist"]
    # Compiled files are told apart by size and second, which a mutation may keep.
    # Plugins that no test of ours needs, as Hypothesis's, take two seconds to import.
    environment = {
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        # The slow tests are what notices a lost write.
        "VIFI_LONG": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(copy),
    }
    return subprocess.run(
        command,
        cwd=copy,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=seconds,
        check=False,
    ).returncode


def _copy(root: Path, files: Sequence[str], copy: Path) -> Path:
    for name in files:
        source, target = root / name, copy / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return copy


def _choose(mutations: list[Mutation], wanted: argparse.Namespace) -> list[Mutation]:
    if wanted.only:
        return [m for m in mutations if m.file.startswith(tuple(wanted.only))]
    if not wanted.changed:
        return mutations
    changed = of_files(mutations, _git("diff", "--name-only", wanted.changed))
    turn = int(_git("rev-list", "--count", "HEAD")[0])
    # Those that take turns come first, in case that there is no time for all.
    chosen = list(dict.fromkeys([*rotating(mutations, turn), *changed]))
    if wanted.most and len(chosen) > wanted.most:
        print(f"{len(chosen) - wanted.most} more are of changed files and left out (--most)")
        chosen = chosen[: wanted.most]
    return chosen


def _git(*arguments: str, root: Path = ROOT) -> list[str]:
    done = subprocess.run(
        ["git", *arguments], cwd=root, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.splitlines()


def _write_row(count: int, alive: int, seconds: float, processes: int) -> None:
    row = {
        "benchmark": "mutations",
        "mutations": count,
        "alive": alive,
        "seconds": round(seconds),
        "processes": processes,
        **machine(),
    }
    add_row(ROWS, row)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("--changed", metavar="REV", help="those of files changed since, and ten")
    parser.add_argument("--only", nargs="+", metavar="PATH", help="those of these files")
    parser.add_argument("--processes", type=int, default=2, help="tests at the same time")
    parser.add_argument("--most", type=int, default=0, help="at most so many in all")
    parser.add_argument("--minutes", type=float, default=0, help="begin none after so many")
    parser.add_argument("--tested", action="store_true", help="the tests are known to pass")
    parser.add_argument("--row", action="store_true", help="add a row to benchmarks/results")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
