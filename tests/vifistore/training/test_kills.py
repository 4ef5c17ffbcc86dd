"""A process that is killed loses nothing: the same command gives the same weights, bit for bit."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

# One interpreter for all: it imports once, and each process that is killed is a fork of it.
PROGRAM = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.vifistore.training.conftest import (
    SETTINGS, bright_set, losses_of, same_weights, tiny_model,
)
from vifistore.training import run_folder
from vifistore.training.options import RunOptions
from vifistore.training.run import Run, train

torch.set_num_threads(1)
ROOT = Path(sys.argv[1])
settings = replace(SETTINGS, mixing=True, flip=0.5, micro_batch=2, ema=0.9)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def run(name, after_step=lambda step: None):
    train(
        Run(
            start=tiny_model(), videos=bright_set(), settings=settings,
            out=ROOT / name, options=RunOptions(checkpoint_every=1), after_step=after_step,
        )
    )


def dies(*arguments):
    pid = os.fork()
    if not pid:
        run(*arguments)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def dying_in(function, call):
    # Before the numbered call of a function that writes.
    original, calls = getattr(run_folder, function), []

    def dying(*arguments, **named):
        calls.append(1)
        return die() if len(calls) == call else original(*arguments, **named)

    setattr(run_folder, function, dying)
    was_killed = dies(f"{function}-{call}")
    setattr(run_folder, function, original)
    return was_killed


assert not dies("whole")
for step in (1, 4):
    assert dies(f"after-{step}", lambda done, step=step: die() if done == step else None)
    assert not dies(f"after-{step}")
# Three files a step by put_stages (optimiser, two JSON) behind run.json, and two of weights.
for call in (3, 5, 13):
    assert dying_in("put_stages", call), call
    assert not dies(f"put_stages-{call}")
for call in (4,):
    assert dying_in("save_checkpoint", call), call
    assert not dies(f"save_checkpoint-{call}")

last = ("step-00000004", "ema-step-00000004", "optimiser/step-00000004")
for found in ROOT.iterdir():
    assert (found / "finished.json").exists()
    assert losses_of(found) == losses_of(ROOT / "whole"), found
    for name in last:
        paths = (run / f"{name}.safetensors" for run in (found, ROOT / "whole"))
        assert same_weights(*map(load_file, paths)), (found, name)
assert len(list(ROOT.iterdir())) == 7
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_bit_for_bit(tmp_path):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
