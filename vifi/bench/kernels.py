"""Claim: each Triton kernel moves close to the fewest bytes it can, faster than plain PyTorch.

    vifi bench kernels --device cuda            # some minutes: torch.compile is timed as well

Every case is timed in its ways: `chosen` (what the public function runs, the kernel on a GPU),
`reference` (plain PyTorch) and on a GPU `compiled` (torch.compile of the reference). `floor_bytes`
is what any way must read and write; `gigabytes_per_second` is that over the median time, to be
compared with `copy_gigabytes_per_second`, a copy of a large tensor in the same run.
`extra_bytes` is the memory taken above the inputs and their gradients, on a GPU alone.
"""

import logging
from collections.abc import Callable, Iterator
from functools import partial

import torch

from vifi.bench.bench_settings import Kernels
from vifi.bench.kernel_cases import Case, cases
from vifi.bench.timing import num_bytes, peak_bytes, seconds
from vifistore.errors import UsageError, first_line
from vifistore.extract.recipes import choose_device
from vifistore.kernels.dispatch import chosen_way

logger = logging.getLogger("vifi")

CASE = ("case", "views", "frames", "dim", "classes", "height", "width", "size", "dtype", "way")
_DTYPES = ("float16", "bfloat16", "float32")
# Values copied: larger than any cache.
_COPIED = {"cuda": 2**28, "cpu": 2**24}


def run(settings: Kernels) -> Iterator[dict]:
    """One row for each case and way. Raises UsageError for an unknown dtype."""
    if settings.dtype not in _DTYPES:
        raise UsageError(f"--dtype is {settings.dtype!r}; give one of {', '.join(_DTYPES)}")
    device = choose_device(settings.device)
    copy = {"copy_gigabytes_per_second": _copy_rate(settings, device)}
    for case in cases(settings, device):
        for way, function in _ways(case, device).items():
            try:
                yield _row(case, way, function, settings, device) | copy
            except RuntimeError as error:
                if way != "compiled":
                    raise
                # The compiler is another program's; without it the other ways still count.
                logger.warning("%s cannot be compiled here: %s", case.name, first_line(error))


def _ways(case: Case, device: torch.device) -> dict[str, Callable]:
    ways = {"chosen": case.kernel, "reference": case.reference}
    if device.type == "cuda" and case.is_compilable:
        # Every case is compiled anew, for its own lengths.
        torch.compiler.reset()
        ways["compiled"] = torch.compile(case.reference, dynamic=False)
    return ways


def _row(
    case: Case, way: str, function: Callable, settings: Kernels, device: torch.device
) -> dict[str, object]:
    path = chosen_way(case.input)
    call = partial(case.run, function)
    taken = seconds(call, settings.repeats, device)
    peak = peak_bytes(call, device)
    return {
        "case": case.name,
        **case.sizes,
        "way": way,
        "path": path.name if way == "chosen" else way,
        "reason": path.reason if way == "chosen" else "asked for",
        **taken.row(),
        "floor_bytes": case.floor_bytes,
        "gigabytes_per_second": case.floor_bytes / taken.p50 / 1e9,
        "extra_bytes": None if peak is None else max(0, peak - case.gradient_bytes),
    }


def _copy_rate(settings: Kernels, device: torch.device) -> float:
    """Bytes read and written by a copy, per second, in units of 1e9."""
    source = torch.ones(_COPIED[device.type], device=device)
    target = torch.empty_like(source)
    taken = seconds(partial(target.copy_, source), settings.repeats, device)
    return 2 * num_bytes(source) / taken.p50 / 1e9
