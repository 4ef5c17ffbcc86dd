"""Which way a computation runs, the Triton kernel or the plain PyTorch reference, and why.

`triton` and `tl` are imported from here, so that every kernel file can be imported where Triton
is not installed.
"""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, Protocol

import torch
from torch import Tensor


def _undecorated(function: Any = None, **options: Any) -> Any:
    """Stands in for triton.jit, with options or without."""
    return function or _undecorated


try:
    import triton
    import triton.language as tl
    from triton import knobs
except ModuleNotFoundError:
    triton = SimpleNamespace(jit=_undecorated)
    tl = SimpleNamespace(constexpr=None)
    INSTALLED = INTERPRETED = False
else:
    INSTALLED = True
    # Triton reads TRITON_INTERPRET when a kernel is defined, so a later change has no effect.
    INTERPRETED = knobs.runtime.interpret

# Tensor-core tiles and bfloat16 need Ampere or later.
LOWEST_CAPABILITY = (8, 0)
KERNEL_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.uint8)


@dataclass(frozen=True)
class Way:
    """Which implementation runs."""

    name: str
    """`kernel` or `reference`."""
    reason: str
    """Why, in a few words."""

    @property
    def is_kernel(self) -> bool:
        """Whether the Triton kernel runs."""
        return self.name == "kernel"


def chosen_way(tensor: Tensor) -> Way:
    """Which implementation the functions of vifistore.kernels run on an input `[...]`."""
    if not INSTALLED:
        return Way("reference", "Triton is not installed")
    if tensor.dtype not in KERNEL_DTYPES:
        return Way("reference", f"no kernel is written for {tensor.dtype}")
    if tensor.numel() == 0:
        return Way("reference", "the input is empty")
    if INTERPRETED:
        return Way("kernel", "interpreted, because TRITON_INTERPRET is set")
    if tensor.device.type != "cuda":
        found = "the input is on the CPU" if torch.cuda.is_available() else "no CUDA device"
        return Way("reference", found)
    return _device_way(tensor.device.index)


@lru_cache
def _device_way(device: int) -> Way:
    name = torch.cuda.get_device_name(device)
    capability = torch.cuda.get_device_capability(device)
    if capability < LOWEST_CAPABILITY:
        return Way("reference", f"{name} is older than compute capability 8.0")
    try:
        # Builds Triton's launch helper, which fails where there is no C compiler, or where it does
        # not find libcuda (an AssertionError).
        triton.runtime.driver.active.get_current_target()
    except (RuntimeError, OSError, AssertionError, subprocess.CalledProcessError) as error:
        return Way("reference", f"Triton cannot start on {name}: {error}".splitlines()[0])
    return Way("kernel", f"{name}, compute capability {capability[0]}.{capability[1]}")


class SavedContext(Protocol):
    """What autograd hands to `backward`, in types that torch's stubs do not give."""

    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]


def blocks_over(length: int, block: int) -> int:
    """How many blocks cover a length."""
    return -(-length // block)


@dataclass(frozen=True)
class Card:
    """What tiles are chosen by."""

    multiprocessors: int
    shared_bytes: int
    """Shared memory that one block can have."""


H100 = Card(multiprocessors=132, shared_bytes=227 * 1024)


def card_of(tensor: Tensor) -> Card:
    """The card of a tensor `[...]`; where it is on no GPU, the one that is compiled for."""
    if tensor.device.type != "cuda":
        return _compiled_for.get()
    return _card(tensor.device.index)


@lru_cache
def _card(device: int) -> Card:
    properties = torch.cuda.get_device_properties(device)
    # torch names what a block can ask for in some of its releases only.
    driver: Any = triton.runtime.driver.active
    limits = driver.utils.get_device_properties(device)
    return Card(properties.multi_processor_count, limits["max_shared_mem"])


def power_of_2_from(length: int) -> int:
    """The lowest power of 2 that is no less than a length, which is at least 1."""
    return 1 << (length - 1).bit_length()


# What takes launches instead of running them: the kernel, its grid, arguments and options.
Launcher = Callable[[Any, tuple[int, ...], tuple[Any, ...], dict[str, Any]], None]
_launcher: ContextVar[Launcher | None] = ContextVar("launcher", default=None)
_compiled_for: ContextVar[Card] = ContextVar("card", default=H100)


@contextmanager
def launched_by(launcher: Launcher, card: Card = H100) -> Iterator[None]:
    """Hand every launch within to `launcher`, as where kernels are compiled for a card without
    being run."""
    launcher_token, card_token = _launcher.set(launcher), _compiled_for.set(card)
    try:
        yield
    finally:
        _launcher.reset(launcher_token)
        _compiled_for.reset(card_token)


def launch(kernel: Any, grid: tuple[int, ...], tensor: Tensor, *args: Any, **options: Any) -> None:
    """Run a kernel on the device of its first argument, `tensor`, `[...]`."""
    launcher = _launcher.get()
    if launcher is not None:
        launcher(kernel, grid, (tensor, *args), options)
        return
    with torch.cuda.device_of(tensor):
        # Pinned, because the default differs between versions of Triton.
        kernel[grid](tensor, *args, enable_fp_fusion=True, **options)


def compute_dtype(tensor: Tensor) -> torch.dtype:
    """What sums over a tensor `[...]` are held in: float32, or float64 for float64 input."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32
