"""Times become quantiles, of calls and of pairs of them, and memory what a call takes."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vifi.bench import kernels, timing
from vifi.bench.bench_settings import Kernels
from vifi.bench.kernel_cases import cases

ROOT = Path(__file__).parents[3]
SMALL = Kernels(
    device="cpu",
    repeats=1,
    num_views=2,
    num_frames=2,
    dim=8,
    num_classes=3,
    size=32,
    pool_frames=(2,),
    pool_dims=(8,),
    pool_values=16,
)


def test_quantiles_of_known_times():
    assert timing.quantiles(map(float, range(11))) == (2.0, 5.0, 8.0)
    assert timing.quantiles([0.5]) == (0.5, 0.5, 0.5)
    assert timing.quantiles([0.5]).row() == {"p20_ms": 500.0, "p50_ms": 500.0, "p80_ms": 500.0}


def test_a_call_is_timed_as_often_as_asked_after_one_that_is_not():
    calls = []
    taken = timing.seconds(lambda: calls.append(1), 5, torch.device("cpu"))
    assert len(calls) == 6
    assert 0 <= taken.p20 <= taken.p80


def test_a_slow_call_is_timed_a_few_times_only(monkeypatch):
    calls = []
    monkeypatch.setattr(timing, "_CPU_SECONDS", 0.0)
    timing.seconds(lambda: calls.append(1), 50, torch.device("cpu"))
    assert len(calls) == 4


def test_pairs_are_taken_in_turns_and_compared_one_by_one(monkeypatch):
    """Ratios 0.5, 2 and 4: their median is not that of the medians, 2 s over 2 s."""
    order, clock = [], iter([1.0, 2.0, 2.0, 4.0, 4.0, 1.0])
    monkeypatch.setattr(timing, "elapsed", lambda call: (call(), next(clock))[1])
    pairs = timing.pairs(
        *(lambda: order.append("ours"), lambda: order.append("other")),
        *(3, lambda: order.append("between")),
    )
    assert order == [
        *("ours", "other", "between"),
        *("other", "ours", "between"),
        *("ours", "other", "between"),
    ]
    assert (pairs.ours.p50, pairs.reference.p50, pairs.ratio.p50) == (4.0, 2.0, 2.0)
    row = pairs.row()
    assert (row["p50_ms"], row["reference_p50_ms"], row["ratio"]) == (4e3, 2e3, 2.0)
    assert row["ratio_p20"] < row["ratio"] < row["ratio_p80"]


_MEMORY = """
import numpy as np
from vifi.bench import timing
before = timing.peak_mebibytes()
print(before, timing.extra_mebibytes(lambda: np.ones(160 * 2**20, np.uint8)))
"""


def test_memory_that_a_call_takes():
    # In a process of its own: here, what tests before it left behind may be freed meanwhile.
    command = [sys.executable, "-c", _MEMORY]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    before, extra = map(float, done.stdout.split())
    assert 150 < extra < 200
    assert before > 20


def test_a_gpu_times_the_compiler_too_where_it_can(monkeypatch):
    # The real one imports for seconds, and warns of its own deprecations.
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: function)
    monkeypatch.setattr(torch.compiler, "reset", lambda: None)
    ways = {
        case.name: list(kernels._ways(case, torch.device("cuda")))
        for case in cases(SMALL, torch.device("cpu"))
    }
    assert ways["temporal_pool forward"] == ["chosen", "reference", "compiled"]
    assert ways["preprocess_frames"] == ["chosen", "reference"]


def test_a_compiler_that_fails_costs_its_own_rows_alone(monkeypatch, caplog):
    def fail(*inputs):
        raise RuntimeError("no C compiler\nat all")

    plain = kernels._ways
    monkeypatch.setattr(kernels, "_ways", lambda c, d: plain(c, d) | {"compiled": fail})
    monkeypatch.setattr(logging.getLogger("vifi"), "propagate", True)
    rows = list(kernels.run(SMALL))
    assert {row["way"] for row in rows} == {"chosen", "reference"}
    assert len(rows) == 12
    assert "temporal_pool forward cannot be compiled here: no C compiler" in caplog.text
    monkeypatch.setattr(kernels, "_ways", lambda c, d: {"chosen": fail})
    with pytest.raises(RuntimeError, match="no C compiler"):
        list(kernels.run(SMALL))
