"""Which device a word names, wherever one can be given."""

import pytest
import torch

from vifi.bench.bench_settings import Compute, Encode, Kernels, Pipeline
from vifi.command_line.console import parse
from vifi.verbs.train_head import TrainHeadArguments
from vifistore.errors import UsageError
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.recipes import choose_device
from vifistore.training.options import RunOptions


@pytest.fixture
def gpus(monkeypatch):
    """A machine with two, and the current one."""
    current: list[int] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    return current


@pytest.mark.parametrize(("device", "number"), [("cuda", 0), ("cuda:0", 0), ("cuda:1", 1)])
def test_a_gpu_that_is_named_becomes_the_current_one(gpus, device, number):
    assert choose_device(device) == torch.device("cuda", number)
    assert gpus == [number]


@pytest.mark.parametrize("device", ["cuda:2", "cuda:255", "cuda:256", "cuda:99999"])
def test_a_gpu_that_is_not_there_is_refused(gpus, device):
    with pytest.raises(UsageError, match="has 2 NVIDIA GPUs; give --device cpu or one that exists"):
        choose_device(device)
    assert gpus == []


@pytest.mark.parametrize(
    "device",
    ["", "gpu", "mps", "meta", "xpu:0", "cuda:-1", "cuda:", "cuda:01", "cuda:1:1", "cpu:1"],
)
def test_what_is_no_device_of_ours_is_refused(gpus, device):
    with pytest.raises(UsageError, match="give cpu, cuda, cuda:N or auto") as error:
        choose_device(device)
    assert repr(device) in str(error.value)


@pytest.mark.parametrize(
    ("kind", "others"),
    [
        (ExtractSettings, ["--model", "m"]),
        (RunOptions, []),
        (TrainHeadArguments, ["s.zarr", "--dataset", "d", "--features", "f", "--out", "o"]),
        *((bench, []) for bench in (Compute, Encode, Kernels, Pipeline)),
    ],
)
def test_a_second_gpu_can_be_named_wherever_a_device_can(gpus, kind, others):
    given = parse("verb", kind, [*others, "--device", "cuda:1"])
    assert choose_device(given.device) == torch.device("cuda", 1)
