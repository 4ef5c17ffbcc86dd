"""What `vifi extract` can be told. Imports no torch, so that --help is quick."""

import math
from dataclasses import dataclass
from pathlib import Path

import tyro

from vifistore.errors import UsageError

PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True, kw_only=True)
class EncodeSettings:
    """How videos become embeddings, whatever the model."""

    frames: int = 32
    """Frames sampled per clip."""
    clips: int = 1
    """Times a video is sampled, each at another phase of its whole length."""
    crops: int = 1
    """Squares cut per frame: 1 (centre) or 3 (left, centre, right)."""
    preprocess: str = "openclip"
    """openclip: the tower's own; paper: ViFi-CLIP's (short side 256, ImageNet statistics)."""
    precision: str = "auto"
    """Arithmetic of the image tower: fp32, bf16, or auto (bf16 where the hardware has it)."""
    decoder: str = "decord"
    """Library that decodes: decord, pyav or torchcodec."""
    device: str = "auto"
    """cpu, cuda, cuda:1, or auto."""
    workers: int = 0
    """Decoding processes; 0 chooses from the number of cores."""
    batch: int = 0
    """Frames per forward pass; 0 suits the device. Does not change the embeddings' id."""
    compile: bool = True
    """On a GPU: compile the image tower into CUDA graphs, which takes a minute once."""
    timeout: float = 120.0
    """Seconds after which a video that does not decode is quarantined; as often again for every
    further 100 MB of its file."""
    worker_memory_gb: float = 0.0
    """Memory that a decoding process may take, GB, else its video is quarantined; 0 is its share of
    three quarters of the machine's, at least 2."""
    template: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Prompt of a class name, {} standing for it; repeat for several. Default: a photo of a {}."""
    frame_cache: Path | None = None
    """Folder that keeps decoded frames for later checkpoints; safe to delete at any time."""
    frame_cache_gb: float = 50.0
    """Most that the folder may hold, GB; what was used longest ago goes first."""

    def __post_init__(self) -> None:
        for field in ("frames", "clips"):
            if getattr(self, field) < 1:
                raise UsageError(f"--{field} is {getattr(self, field)}; give 1 or more")
        for field in ("batch", "workers"):
            if getattr(self, field) < 0:
                raise UsageError(f"--{field} is {getattr(self, field)}; give 0 or more")
        if self.crops not in (1, 3):
            raise UsageError(f"--crops is {self.crops}; give 1 or 3")
        # Not a number is refused, too: no comparison holds for it.
        if not self.timeout > 0:
            raise UsageError(f"--timeout is {self.timeout}; give a positive number of seconds")
        if not 0 <= self.worker_memory_gb < math.inf:
            raise UsageError(f"--worker-memory-gb is {self.worker_memory_gb}; give 0 or more")
        if not 0 < self.frame_cache_gb < math.inf:
            raise UsageError(f"--frame-cache-gb is {self.frame_cache_gb}; give a positive size")
        _check_choice("preprocess", self.preprocess, ("openclip", "paper"))
        _check_choice("precision", self.precision, PRECISIONS)
        _check_choice("decoder", self.decoder, ("decord", "pyav", "torchcodec"))

    @property
    def num_views(self) -> int:
        """Views per video: clips x crops."""
        return self.clips * self.crops


@dataclass(frozen=True, kw_only=True)
class ExtractSettings(EncodeSettings):
    """Which model makes embeddings of videos, and how."""

    model: str
    """OpenCLIP model name, for instance ViT-B-16-quickgelu."""
    pretrained: str
    """Weights: a tag such as openai, a .safetensors or .pt file, or none for random ones."""
    name: str = ""
    """Name of the feature set; empty chooses one from model, checkpoint, frames and views."""


def _check_choice(flag: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"--{flag} is {value!r}; give one of {', '.join(choices)}")
