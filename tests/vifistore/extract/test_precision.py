"""The precision is settled once, and a set goes on with its own."""

import contextlib
import dataclasses

import pytest
import torch

from tests.vifistore.extract.sets import SETTINGS
from vifistore.errors import UsageError
from vifistore.extract.job import extract_dataset
from vifistore.extract.prepare import continued_recipe
from vifistore.extract.recipes import choose_precision, resolve_recipe


def test_going_on_takes_the_precision_of_the_set(store, tiny, log, monkeypatch):
    extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny, limit=2)
    auto = dataclasses.replace(SETTINGS, precision="auto")
    monkeypatch.setattr("vifistore.extract.recipes._cpu_has_bf16", lambda: True)
    assert resolve_recipe(auto, tiny).precision == "bf16"
    assert continued_recipe(store.dataset("d"), auto, tiny).precision == "fp32"
    assert "precision fp32, that of the feature set" in log[-1]
    other = dataclasses.replace(SETTINGS, frames=1, precision="auto")
    assert continued_recipe(store.dataset("d"), other, tiny).precision == "bf16"
    assert log[-1] == "precision bf16, chosen for this machine"
    bf16 = dataclasses.replace(SETTINGS, precision="bf16", name="b")
    extract_dataset(store.dataset("d"), bf16, loaded=tiny, limit=1)
    # Two sets differ in nothing else: neither is the one to go on with.
    assert continued_recipe(store.dataset("d"), auto, tiny).precision == "bf16"


def test_a_gpu_that_cannot_run_the_precision_stops_with_a_line(store, tiny, monkeypatch):
    monkeypatch.setattr("torch.cuda.device", lambda device: contextlib.nullcontext())
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "Tesla V100")
    for has_bf16 in (True, False):
        monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda has=has_bf16, **_: has)
        expected = contextlib.nullcontext() if has_bf16 else pytest.raises(UsageError)
        with expected as error:
            assert choose_precision("bf16", torch.device("cuda")) == "bf16"
        chosen = choose_precision("auto", torch.device("cuda"))
        assert chosen == ("bf16" if has_bf16 else "fp32")
    assert "Tesla V100 cannot compute in bf16; use another GPU" in str(error.value)
