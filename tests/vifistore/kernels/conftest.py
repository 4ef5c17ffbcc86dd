"""Where kernels run in tests, how close they must come, and compiling without a GPU."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.compiled_kernels import CARDS, HOPPER, Compiled, compiling


@pytest.fixture
def device() -> torch.device:
    """Where kernels run: the CPU in a process that interprets them, else the GPU."""
    pytest.importorskip("triton", reason="Triton is not installed")
    from vifistore.kernels.dispatch import INTERPRETED

    if not INTERPRETED and not torch.cuda.is_available():
        pytest.skip("there is no NVIDIA GPU and kernels are not interpreted")
    return torch.device("cpu" if INTERPRETED else "cuda")


@pytest.fixture
def assert_close() -> Callable[..., None]:
    """Hold a kernel's result to twice the error that plain PyTorch makes in the same dtype."""

    from vifistore.kernels.dispatch import INTERPRETED

    def check(result: Tensor, plain: Tensor, exact: Tensor, relative: float = 1e-6) -> None:
        assert result.shape == plain.shape == exact.shape
        assert result.dtype == plain.dtype
        if INTERPRETED and result.dtype == torch.bfloat16:
            # The interpreter cuts bfloat16 off: its error is a unit where rounding's is a half.
            relative = torch.finfo(torch.bfloat16).eps / 2
        allowed = 2 * largest(plain.double() - exact) + relative * largest(exact) + 1e-12
        assert largest(result.double() - exact) <= allowed

    return check


def largest(values: Tensor) -> float:
    return values.abs().max().item()


@pytest.fixture
def compiled_for(monkeypatch, tmp_path_factory) -> Callable[[int], Any]:
    """A context in which every launch is compiled for a compute capability in place of running; it
    gives what was compiled, all of which must fit such a card."""
    pytest.importorskip("triton", reason="Triton is not installed")
    from vifistore.kernels.dispatch import INTERPRETED

    if INTERPRETED:
        pytest.skip("kernels cannot be compiled in a process that interprets them")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path_factory.mktemp("triton")))

    @contextmanager
    def compiled(capability: int) -> Iterator[list[Compiled]]:
        with compiling(capability) as found:
            yield found
        for kernel in found:
            assert all(size > 0 for size in kernel.grid)
            assert f".target sm_{capability}" in kernel.ptx
            assert kernel.shared_bytes <= CARDS[capability].shared_bytes

    return compiled


@pytest.fixture
def hopper(compiled_for) -> Iterator[list[Compiled]]:
    """Every launch is compiled for sm_90 in place of running; gives what was compiled."""
    with compiled_for(HOPPER) as found:
        yield found
