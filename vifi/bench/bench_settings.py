"""What each benchmark can be told. Imports no torch, so that --help is quick."""

from dataclasses import dataclass
from pathlib import Path

from vifistore.errors import UsageError

# Zero chooses.
_MAY_BE_ZERO = ("batch", "num_clusters", "micro_batch", "workers", "pool_values")


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What all benchmarks share."""

    out: Path | None = None
    """Folder of the rows. Default: benchmarks/results where there is one, else bench."""
    note: str = ""
    """What a reader of the rows should know, such as what else the machine did."""

    def __post_init__(self) -> None:
        for field, value in vars(self).items():
            values = value if isinstance(value, tuple) else (value,)
            least = 0 if field in _MAY_BE_ZERO else 1
            for number in values:
                if isinstance(number, int) and not isinstance(number, bool) and number < least:
                    flag = field.replace("_", "-")
                    raise UsageError(f"--{flag} is {number}; give {least} or more")


@dataclass(frozen=True, kw_only=True)
class Timed(Bench):
    """A benchmark that runs the same thing again and again."""

    repeats: int = 20
    """Times that each thing runs on a CPU, fewer where that takes long; on a GPU, half a second."""
    device: str = "auto"
    """cpu, cuda, cuda:1, or auto."""


@dataclass(frozen=True, kw_only=True)
class Kernels(Timed):
    """Time each Triton kernel beside plain PyTorch, and count the bytes it moves and takes.

    The defaults are a training batch of the paper's models. Without a GPU all ways are PyTorch.
    """

    num_views: int = 256
    """Views of a batch."""
    num_frames: int = 32
    """Frames of a view, and frames that are preprocessed."""
    dim: int = 512
    """Dimensions of an embedding."""
    num_classes: int = 400
    """Classes compared with."""
    size: int = 224
    """Side of the crop, pixels; frames are 3/2 as high and 2 times as wide."""
    dtype: str = "float16"
    """Of embeddings and of preprocessed frames: float16, bfloat16 or float32."""
    pool_frames: tuple[int, ...] = (8, 16, 32)
    """Frames of a view in temporal_pool, each with every one of --pool-dims."""
    pool_dims: tuple[int, ...] = (512, 768, 1024)
    """Dimensions of an embedding in temporal_pool."""
    pool_values: int = 0
    """Values pooled at once; 0 chooses as many as no cache holds on a GPU, few on a CPU."""


@dataclass(frozen=True, kw_only=True)
class Encode(Timed):
    """Time preprocessing and image tower together, from uint8 frames that lie on the device."""

    model: str = "ViT-B-16"
    """OpenCLIP model name."""
    pretrained: str = "none"
    """Weights; random ones take as long as any."""
    batch: int = 0
    """Frames per forward pass; 0 chooses as extraction does."""
    height: int = 256
    """Height of the frames, pixels."""
    width: int = 340
    """Width of the frames, pixels."""
    precisions: tuple[str, ...] = ("fp32", "bf16")
    """Arithmetic of the tower."""


@dataclass(frozen=True, kw_only=True)
class Decode(Bench):
    """Decode the videos of a folder with every decoder, in one process and through the pool."""

    folder: Path
    """Folder of videos."""
    frames: int = 32
    """Frames per video."""
    workers: int = 0
    """Worker processes of the pool; 0 is one for each core."""
    limit: int = 100
    """Videos at most, evenly drawn from the folder."""


@dataclass(frozen=True, kw_only=True)
class Pipeline(Bench):
    """Time whole extractions beside their parts and beside a plain loop, and their peak memory."""

    folder: Path | None = None
    """Folder of videos; without one, small clips are made."""
    models: tuple[str, ...] = ("ViT-B-32", "ViT-B-16")
    """OpenCLIP models, with random weights."""
    clip_models: tuple[str, ...] = ("ViT-B-32",)
    """Those whose image tower, with a small transformer over time, is also timed as an encoder that
    sees the frames of a view together."""
    frames: int = 32
    """Frames per video."""
    num_videos: int = 24
    """Videos, evenly drawn from the folder; those that decord cannot read are left out."""
    memory_videos: tuple[int, ...] = (200, 2000)
    """Numbers of small clips whose extractions are compared in peak memory."""
    repeats: int = 1
    """Times that loop, pipeline and parts run; their medians count."""
    precision: str = "auto"
    """Arithmetic of the pipeline: fp32, bf16, or auto as for extraction; the loop's is fp32."""
    device: str = "auto"
    """cpu, cuda, cuda:1, or auto."""
    tiny: bool = False
    """A model and clips so small that nothing but the running is tried."""


@dataclass(frozen=True, kw_only=True)
class Compute(Timed):
    """Count parameters and multiply-accumulates of a model's towers, and time both.

    The paper's Tables 6 and 9 count the image tower alone. With --results its cells are filled.
    """

    model: str = "ViT-B-16-quickgelu"
    """OpenCLIP model name."""
    pretrained: str = "none"
    """Weights: a tag, a file, or none for random ones, which cost as much unless the file holds
    prompts."""
    frames: int = 16
    """Frames of a view."""
    views: int = 1
    """Views encoded at once."""
    classes: int = 400
    """Class names that the text tower encodes at once."""
    precision: str = "auto"
    """Arithmetic: fp32, bf16, or auto as for extraction."""
    head: Path | None = None
    """A head of vifi train-head, whose cost is added."""
    features: str = ""
    """Row of the tables that the costs stand in: a feature set's name, such as vifi-clip."""
    results: Path | None = None
    """Results folder whose artefacts/costs.json gets the costs; needs --features."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.results is None) != (not self.features):
            raise UsageError("--results and --features go together; give both or none")
