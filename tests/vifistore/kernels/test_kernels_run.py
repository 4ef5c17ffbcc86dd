"""Runs the check files: interpreted on the CPU, and on the GPU where there is one.

Triton decides when it is imported whether it interprets kernels, so each way has its own process.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parent
CHECKS = sorted(FOLDER.glob("check_*.py"))


def run_checks(interpret: bool) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment["OMP_NUM_THREADS"] = "1"
    if interpret:
        environment["TRITON_INTERPRET"] = "1"
    files = [str(path) for path in CHECKS]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    summary = done.stdout.strip().splitlines()[-1]
    assert done.returncode == 0, done.stdout + done.stderr
    # A skipped check is a check that did not run.
    assert re.fullmatch(r"\d+ passed in .*", summary), summary


def test_interpreted():
    pytest.importorskip("triton", reason="Triton is not installed")
    run_checks(interpret=True)


@pytest.mark.gpu
def test_on_gpu():
    if not torch.cuda.is_available():
        pytest.skip("there is no NVIDIA GPU")
    run_checks(interpret=False)


def test_all_checks_are_found():
    kernels = ["fusions", "preprocess_frames", "temporal_pool"]
    assert [path.name for path in CHECKS] == [f"check_{name}.py" for name in kernels]
