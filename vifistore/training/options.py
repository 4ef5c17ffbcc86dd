"""How and where a run computes; at most the last bits of its numbers depend on it. No torch."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vifistore.errors import Faults
from vifistore.extract.ranks import own_cores
from vifistore.frames.decoders.decoder_names import DecoderName
from vifistore.training.training_settings import note_name

Precision = Literal["auto", "fp32", "bf16"]


# What gives a GPU its work, and what changes pixels for it.
_CORES_BESIDE_A_GPU = 2


def default_readers(*, on_gpu: bool) -> int:
    """Decoding processes of a run: most of the cores that are this process's where a GPU computes,
    else half of them, as the model needs the others."""
    cores = own_cores()
    return max(1, cores - _CORES_BESIDE_A_GPU if on_gpu else cores // 2)


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How and where a run computes."""

    device: str = "auto"
    """cpu, cuda, cuda:1, or auto; under torchrun every process takes the GPU of its rank."""
    precision: Precision = "auto"
    """fp32, bf16 (weights stay fp32), or auto: bf16 on a GPU that has it, else fp32. On a CPU a
    stopped run goes on bit for bit."""
    compile: bool = True
    """On a GPU: compile the image tower, which takes a minute or two at the start."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass: less memory, about a third more time."""
    threads: int = 0
    """Threads of the processor that compute; 0: one a core. Numbers of a CPU that adds up on 1 do
    not depend on how many cores it has, and a tiny model is no slower."""
    workers: int = 0
    """Decoding processes; 0 chooses from the number of cores."""
    decoder: DecoderName = "decord"
    """Library that decodes: decord, pyav or torchcodec."""
    timeout: float = 120.0
    """Seconds after which a video that does not decode is skipped."""
    frame_cache: Path | None = None
    """Folder to keep decoded frames in, shared with what extracts the checkpoints; training keeps
    its own where candidate_frames says how many."""
    frame_cache_gb: float = 50.0
    """Size limit of that folder, in 10^9 bytes; what was used longest ago goes first."""
    in_memory: bool = False
    """Keep the prepared frames of all videos in memory; needs candidate_frames."""
    checkpoint_every: int = 0
    """Steps between checkpoints; 0 writes one at the end of every epoch."""
    tensorboard: bool = False
    """Also write the log for TensorBoard (pip install 'vifistore[tensorboard]')."""

    def __post_init__(self) -> None:
        faults = Faults()
        note_name(faults, "precision", self.precision, Precision)
        note_name(faults, "decoder", self.decoder, DecoderName)
        for field in ("threads", "workers", "checkpoint_every"):
            value = getattr(self, field)
            faults.check(value >= 0, f"{field} is {value}; give 0 or more")
        # Not a number is refused, too: no comparison holds for it.
        message = f"timeout is {self.timeout}; give a positive number of seconds"
        faults.check(0 < self.timeout < math.inf, message)
        message = f"frame_cache_gb is {self.frame_cache_gb}; give a positive size"
        faults.check(0 < self.frame_cache_gb < math.inf, message)
        faults.refuse()
