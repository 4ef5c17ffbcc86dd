"""How long a call takes, alone or in turns with another, and how much memory."""

import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

# torch takes a second to import, and memory: whoever passes a device has done so already.
if TYPE_CHECKING:
    import torch

_QUANTILES = (0.2, 0.5, 0.8)
_GPU_MILLISECONDS = 500
# After so long no further call is begun, but for the first few.
_CPU_SECONDS, _FEWEST = 20.0, 3

Call = Callable[[], object]


class Quantiles(NamedTuple):
    """The 20th, 50th and 80th percentile of what was measured several times."""

    p20: float
    p50: float
    p80: float

    def row(self, prefix: str = "") -> dict[str, float]:
        """Seconds as fields of a row, in milliseconds."""
        return {f"{prefix}{name}_ms": 1e3 * value for name, value in self._asdict().items()}


class Pairs(NamedTuple):
    """Seconds of two ways to do the same, taken in turns, and the ratio within each pair.

    What else the machine does falls on both ways of a pair, so the ratio holds where neither
    time does.
    """

    ours: Quantiles
    reference: Quantiles
    ratio: Quantiles
    """Our time over that of the reference: below 1, we are faster."""

    def row(self) -> dict[str, float]:
        """As fields of a row; `ratio` is the median."""
        ratios = {"ratio_p20": self.ratio.p20, "ratio": self.ratio.p50, "ratio_p80": self.ratio.p80}
        return {**self.ours.row(), **self.reference.row("reference_"), **ratios}


def elapsed(call: Call) -> float:
    """Seconds of one call; what it returns is freed afterwards."""
    start = time.perf_counter()
    result = call()
    taken = time.perf_counter() - start
    del result
    return taken


def pairs(ours: Call, reference: Call, count: int, between: Call = lambda: None) -> Pairs:
    """Time two calls in turns, `count` times; each is the first of every second pair.

    `between` comes after each pair. Neither is called before: do so where a first call is slower.
    """
    times = []
    for number in range(count):
        if number % 2:
            second = elapsed(reference)
            times.append((elapsed(ours), second))
        else:
            times.append((elapsed(ours), elapsed(reference)))
        between()
    return pairs_of(times)


def pairs_of(times: Iterable[tuple[float, float]]) -> Pairs:
    """Pairs that were timed elsewhere: seconds of ours and of the reference."""
    both = list(times)
    ours, reference = zip(*both, strict=True)
    ratios = [one / other for one, other in both]
    return Pairs(quantiles(ours), quantiles(reference), quantiles(ratios))


def seconds(call: Call, repeats: int, device: "torch.device | None" = None) -> Quantiles:
    """Time calls after one that does not count; none after 20 s, but for the first three.

    On a GPU the clock is its own, and its caches are cleared before each call.
    """
    if device is not None and device.type == "cuda":
        return _gpu_seconds(call, device)
    call()
    times: list[float] = []
    while len(times) < repeats and (len(times) < _FEWEST or sum(times) < _CPU_SECONDS):
        times.append(elapsed(call))
    return quantiles(times)


def _gpu_seconds(call: Call, device: "torch.device") -> Quantiles:
    import torch

    from vifistore.kernels.dispatch import triton

    # It times the current GPU, which need not be the one that is asked for.
    with torch.cuda.device(device):
        times: Any = triton.testing.do_bench(call, rep=_GPU_MILLISECONDS, quantiles=_QUANTILES)
    return Quantiles(*(milliseconds / 1e3 for milliseconds in times))


def quantiles(values: Iterable[float]) -> Quantiles:
    """Quantiles of measured values, interpolated."""
    found = list(values)
    if len(found) == 1:
        return Quantiles(*found * 3)
    tenths = statistics.quantiles(found, n=10, method="inclusive")
    return Quantiles(*(tenths[round(quantile * 10) - 1] for quantile in _QUANTILES))


def peak_bytes(call: Call, device: "torch.device") -> int | None:
    """Memory of the device that one call takes above what was held before it; None on a CPU."""
    if device.type != "cuda":
        return None
    import torch

    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    call()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def num_bytes(*tensors: "torch.Tensor") -> int:
    """Bytes of tensors [...] of any shape together."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def peak_mebibytes(pid: int | str = "self") -> float:
    """The most memory that a process held so far; Linux alone tells it of others than itself.

    `getrusage` also counts what a process was before it became this program.
    """
    return _status_mebibytes(pid, "VmHWM")


def extra_mebibytes(call: Call) -> float:
    """The most memory that one call takes beyond what this process held before it."""
    # Linux forgets the peak so far when told to.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _status_mebibytes("self", "VmRSS")
    call()
    return max(peak_mebibytes() - before, 0.0)


def _status_mebibytes(pid: int | str, field: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition(f"{field}:")[2].split()[0]) / 1024
