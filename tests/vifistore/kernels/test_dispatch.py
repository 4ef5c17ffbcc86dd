"""Which path is taken, and why."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from vifistore.kernels import dispatch
from vifistore.kernels.dispatch import H100, Card, Way, card_of, chosen_way, launched_by


@pytest.fixture
def gpu(monkeypatch):
    """A machine that says it has a GPU; returns what can be set about it."""
    pytest.importorskip("triton", reason="Triton is not installed")
    from triton.runtime import driver

    dispatch._device_way.cache_clear()
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "GPU 9")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))

    class Driver:
        def get_current_target(self):
            return "cuda"

    monkeypatch.setattr(driver, "_active", Driver())
    yield Driver
    dispatch._device_way.cache_clear()


def test_a_gpu_runs_the_kernel(gpu):
    assert dispatch._device_way(0) == Way("kernel", "GPU 9, compute capability 9.0")


def test_a_card_is_what_torch_and_triton_say_of_it(gpu, monkeypatch):
    properties = {"max_shared_mem": 101_376}
    monkeypatch.setattr(
        gpu,
        "utils",
        SimpleNamespace(get_device_properties=lambda device: properties),
        raising=False,
    )
    of_torch = SimpleNamespace(multi_processor_count=72)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: of_torch)
    dispatch._card.cache_clear()
    assert dispatch._card(0) == Card(multiprocessors=72, shared_bytes=101_376)
    dispatch._card.cache_clear()
    assert card_of(torch.empty(1)) == H100
    with launched_by(lambda *launch: None, Card(3, 4)):
        assert card_of(torch.empty(1)) == Card(3, 4)


def test_an_old_gpu_runs_the_reference(gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    path = dispatch._device_way(0)
    assert path == Way("reference", "GPU 9 is older than compute capability 8.0")


@pytest.mark.parametrize("kind", [RuntimeError, AssertionError, OSError])
def test_a_gpu_where_triton_cannot_start_runs_the_reference(gpu, monkeypatch, kind):
    def fail(self):
        raise kind("Failed to find C compiler.\nMore lines")

    monkeypatch.setattr(gpu, "get_current_target", fail)
    path = dispatch._device_way(0)
    assert path == Way("reference", "Triton cannot start on GPU 9: Failed to find C compiler.")


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (torch.empty(0, 3), "the input is empty"),
        (torch.empty(2, dtype=torch.int64), "no kernel is written for torch.int64"),
    ],
)
def test_inputs_without_a_kernel(tensor, reason, monkeypatch):
    monkeypatch.setattr(dispatch, "INSTALLED", True)
    assert chosen_way(tensor) == Way("reference", reason)


def test_the_cpu_runs_the_reference(monkeypatch):
    monkeypatch.setattr(dispatch, "INSTALLED", True)
    monkeypatch.setattr(dispatch, "INTERPRETED", False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert chosen_way(torch.ones(1)) == Way("reference", "no CUDA device")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert chosen_way(torch.ones(1)) == Way("reference", "the input is on the CPU")


WITHOUT_TRITON = """
import sys
sys.modules["triton"] = None
import importlib, pkgutil, torch
import vifistore.kernels
for module in pkgutil.iter_modules(vifistore.kernels.__path__):
    importlib.import_module(f"vifistore.kernels.{module.name}")
from vifistore.kernels.dispatch import chosen_way
from vifistore.kernels.fusion_cross_entropy import fusion_cross_entropy
from vifistore.kernels.preprocess_frames import preprocess_frames
from vifistore.kernels.temporal_pool import pool_and_round
pool_and_round(torch.ones(1, 2, 3))
fusion_cross_entropy(torch.ones(1, 2, 3), torch.ones(2, 3), 1.0, torch.ones(1, 2), "image")
preprocess_frames(torch.zeros(1, 4, 4, 3, dtype=torch.uint8), size=2, mean=(0,) * 3, std=(1,) * 3)
print(chosen_way(torch.ones(1)))
"""


def test_everything_runs_without_triton_and_without_a_warning():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_TRITON],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout == "Way(name='reference', reason='Triton is not installed')\n"
