"""What the steps of a study take, by counting: operations, frames and bytes over measured rates."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vifi.study.study_parts import Flags, Study, StudySystem
from vifistore.models.config_files import find_config
from vifistore.training.presets import PRESETS

_BACKWARD = 3
"""A training step is a forward pass, and a backward pass of twice its operations."""
_HALF, _SINGLE = 2, 4
_ADAM = 2
"""Averages that AdamW keeps of each parameter, beside the weights."""
_CACHE_GB = 50
"""Of a frame cache, unless --frame-cache-gb says otherwise; it keeps 8 bits a colour."""
_HOUR, _GB = 3600, 1e9


@dataclass(frozen=True, kw_only=True)
class Machine:
    """How fast a machine is at the two things that take time."""

    name: str
    flops: float
    """Floating-point operations a second of an image tower at work; a multiply-add is two."""
    decoded_frames: float
    """Frames a second, decoded for a view of 32."""
    source: str


MACHINES = (
    Machine(
        name="two CPU cores",
        flops=0.2966e12,
        decoded_frames=711.7,
        source="benchmarks/results/pipeline.jsonl (ViT-B-16, bf16) and decode.jsonl (decord)",
    ),
    Machine(
        name="one H200 at the rate of an A100",
        # 71.1 views of 16 frames and 281 G multiply-adds a second. No committed row is of an H200.
        flops=2 * 281e9 * 71.1,
        # 16 cores beside it.
        decoded_frames=16 / 2 * 711.7,
        source="the paper's Table 6 (an H200 has 3.2 times the rate); decode.jsonl, on 16 cores",
    ),
)


@dataclass(frozen=True, kw_only=True)
class StepCost:
    """Of a step; of several it is the sum."""

    videos: int = 0
    """That it goes through, each as often as it does."""
    frames: int = 0
    """That a tower encodes."""
    decoded: int = 0
    """That are decoded: a frame cache that can hold them keeps them for the steps that follow."""
    flops: float = 0.0
    num_bytes: float = 0.0
    """That it leaves, beside the frame cache."""

    def __add__(self, other: "StepCost") -> "StepCost":
        return StepCost(
            **{name: value + getattr(other, name) for name, value in vars(self).items()}
        )

    def hours(self, machine: Machine) -> float:
        """Where decoding and computing run beside one another."""
        seconds = max(self.flops / machine.flops, self.decoded / machine.decoded_frames)
        return seconds / _HOUR

    @property
    def gigabytes(self) -> float:
        """That it leaves."""
        return self.num_bytes / _GB


@dataclass(frozen=True, kw_only=True)
class VideoCounts:
    """How many videos there are, as far as they are scanned; else the study says so."""

    datasets: Mapping[str, int] = field(default_factory=dict)
    trained_on: Mapping[str, int] = field(default_factory=dict)
    """By the name of a system."""


def costs(study: Study, sizes: VideoCounts) -> dict[str, StepCost]:
    """The cost of each training and extraction by the name of its step.

    What is neither takes seconds from the cache, and is left out. A training of which nothing says
    how many videos it has counts those of its dataset.
    """
    found: dict[str, StepCost] = {}
    room = study.extract.get("frame-cache-gb")
    cached = _Cached(limit=_GB * (room if isinstance(room, int | float) else _CACHE_GB))
    for system in study.systems.values():
        if system.preset:
            found[f"train {system.name}"] = _training(study, system, sizes, cached)
        if system.head:
            continue
        for dataset in study.datasets:
            videos = _of_dataset(study, sizes, dataset)
            name = f"extract {system.name} of {dataset}"
            found[name] = _extraction(study, system, dataset, videos, cached)
    return found


def _of_dataset(study: Study, sizes: VideoCounts, dataset: str) -> int:
    return sizes.datasets.get(dataset, study.datasets[dataset].num_videos)


def _training(study: Study, system: StudySystem, sizes: VideoCounts, cached: "_Cached") -> StepCost:
    known = sizes.trained_on.get(system.name, 0) or system.num_videos
    videos = known or _of_dataset(study, sizes, system.dataset)
    flags = {**study.train, **system.flags}
    settings = PRESETS[system.preset]() if system.preset in PRESETS else None
    epochs = _number(flags, "epochs", settings.epochs if settings else 1)
    frames = _number(flags, "frames", settings.num_frames if settings else 1)
    candidates = _number(flags, "candidate-frames", 0)
    seen = videos * epochs
    tower = Tower.of(study, system)
    # Without candidates every epoch draws other frames, which no cache has.
    if candidates:
        decoded = cached.decoded(system.dataset, videos, candidates, tower.side)
    else:
        decoded = seen * frames
    return StepCost(
        videos=seen,
        frames=seen * frames,
        decoded=decoded,
        flops=_BACKWARD * tower.flops * seen * frames,
        num_bytes=_SINGLE * tower.parameters * (1 + _ADAM),
    )


def _extraction(
    study: Study, system: StudySystem, dataset: str, videos: int, cached: "_Cached"
) -> StepCost:
    flags = {**study.extract, **system.extract}
    frames = _number(flags, "frames", 32)
    views = _number(flags, "clips", 1) * _number(flags, "crops", 1)
    tower = Tower.of(study, system)
    decoded = cached.decoded(dataset, videos, frames, tower.side)
    stored = videos * views * (frames + 2 * _SINGLE // _HALF) * tower.dim * _HALF
    return StepCost(
        videos=videos,
        frames=videos * views * frames,
        decoded=decoded,
        flops=tower.flops * videos * views * frames,
        num_bytes=stored,
    )


@dataclass(kw_only=True)
class _Cached:
    """Which frames a frame cache holds by then."""

    limit: float
    """Bytes."""
    known: set[tuple[str, int, int]] = field(default_factory=set)

    def decoded(self, dataset: str, videos: int, frames: int, side: int) -> int:
        """Frames to decode for a step that takes so many of each video."""
        key = (dataset, frames, side)
        if key in self.known:
            return 0
        if videos * frames * 3 * side**2 <= self.limit:
            self.known.add(key)
        return videos * frames


def _number(flags: Flags, name: str, otherwise: int) -> int:
    value = flags.get(name, otherwise)
    return int(value) if isinstance(value, int | float) else otherwise


@dataclass(frozen=True, kw_only=True)
class Tower:
    """What is counted of a model from its config, as OpenCLIP writes it."""

    flops: float
    """Of one frame through a ViT; a multiply-add is two. 0 for other towers: nothing is known."""
    parameters: float
    """Of both towers."""
    dim: int
    side: int
    """Of its frames, pixels."""

    @classmethod
    def of(cls, study: Study, system: StudySystem) -> "Tower":
        """That of a system, which may be the model of the one that it starts from."""
        while not system.model:
            system = study.systems[system.start]
        config = find_config(system.model) or {}
        vision, text = config.get("vision_cfg", {}), config.get("text_cfg", {})
        layers, width, patch = (vision.get(key) for key in ("layers", "width", "patch_size"))
        dim, side = int(config.get("embed_dim", 512)), int(vision.get("image_size", 224))
        if not (isinstance(layers, int) and isinstance(width, int) and isinstance(patch, int)):
            return cls(flops=0.0, parameters=0.0, dim=dim, side=side)
        tokens = (side // patch) ** 2 + 1
        # Attention has four matrices of width x width and the perceptron eight; beside them every
        # token meets every other twice.
        block = 12 * width**2
        flops = 2 * tokens * (layers * (block + 2 * tokens * width) + 3 * patch**2 * width)
        words = int(text.get("vocab_size", 0)) * int(text.get("width", 0))
        of_text = 12 * int(text.get("width", 0)) ** 2 * int(text.get("layers", 0))
        return cls(flops=flops, parameters=layers * block + words + of_text, dim=dim, side=side)
