"""The processes of a run: one, or as many as torchrun starts.

Gradients are summed here and not by DistributedDataParallel, whose hooks expect one backward pass
through every parameter: the text tower has its own, once per step, after those of the frames.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from vifistore.errors import UsageError
from vifistore.training.faults import require_torchrun

# Gradients that travel together, as numbers: 128 MiB of float32.
_BUCKET = 2**25


@dataclass(frozen=True, kw_only=True)
class Processes:
    """This process among those of a run."""

    rank: int = 0
    """Number of this process."""
    world: int = 1
    """How many there are."""

    @property
    def is_first(self) -> bool:
        """Whether this process writes what is written once."""
        return self.rank == 0

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor `[...]` by its sum over all processes."""
        if self.world == 1:
            return
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.flatten() for tensor in bucket])
            dist.all_reduce(flat)
            parts = flat.split([tensor.numel() for tensor in bucket])
            for tensor, part in zip(bucket, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def merged(self, own: dict) -> dict:
        """What this process found, and all others too, which must call this as well."""
        if self.world == 1:
            return dict(own)
        parts: list[dict] = [{}] * self.world
        dist.all_gather_object(parts, dict(own))
        return {key: part[key] for part in parts for key in sorted(part)}

    def wait(self) -> None:
        """Return once all processes are here."""
        if self.world > 1:
            dist.barrier()


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        if bucket and (size + tensor.numel() > _BUCKET or tensor.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.numel()
    if bucket:
        yield bucket


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[tuple[Processes, torch.device]]:
    """Join the processes that torchrun started; give this one and the device it computes on.

    Without torchrun that is the only process, and the device itself. Raises UsageError where there
    are fewer GPUs than processes, or another launcher started several.
    """
    require_torchrun()
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Processes(), device
        return
    if device.type == "cuda":
        local_rank = int(os.environ["LOCAL_RANK"])
        if local_rank >= torch.cuda.device_count():
            raise UsageError(
                f"torchrun started process {local_rank} of this machine, which has "
                f"{torch.cuda.device_count()} NVIDIA GPUs; give a smaller --nproc-per-node"
            )
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(rank=dist.get_rank(), world=world), device
    finally:
        dist.destroy_process_group()


def precision_of(precision: str, device: torch.device) -> str:
    """Resolve a precision of `auto`: bf16 on a GPU that has it, fp32 elsewhere."""
    if precision != "auto" or device.type != "cuda":
        return "fp32" if precision == "auto" else precision
    with torch.cuda.device(device):
        # Older ones would emulate it, many times slower.
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
