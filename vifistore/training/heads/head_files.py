"""A head in memory, and its file: safetensors with a JSON header that says what it is."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from vifistore.errors import ModelError
from vifistore.files import parse_json_object
from vifistore.models.actionclip.temporal_transformer import PoolingShape, new_pooling
from vifistore.models.tower_digests import weights_digest
from vifistore.store.identity import parse_identity
from vifistore.store.key_value.durable import put_file
from vifistore.store.recipe import digest_of, pooled_digest
from vifistore.training.heads.a5_prompts import NamePrompts
from vifistore.training.heads.head_settings import MOST_LAYERS, PROMPTED_HEADS, HeadKind

_HEADER_KEY = "vifistore-head"

# No size of a head is larger; the bytes of tensors of such sizes can still be counted.
_LARGEST_SIZE = 2**20
_MAY_BE_NONE = ("layers", "num_each_side", "step")


@dataclass(frozen=True, kw_only=True)
class PromptsShape:
    """Sizes of A5's text prompts."""

    num_each_side: int
    """Vectors in front of a class name, and as many behind it."""
    context_length: int
    """Places in a text."""
    width: int
    """Width of the text tower."""


@dataclass(frozen=True, kw_only=True)
class HeadHeader:
    """What the file of a head says of itself."""

    kind: HeadKind
    """Whose head it is."""
    pooling: PoolingShape
    """Sizes of the pooling."""
    prompts: PromptsShape | None
    """Sizes of the text prompts, where there are some."""
    image_digest: str
    """Image tower whose frames it pools."""
    text_digest: str
    """Text tower it was trained against."""
    parent: str
    """Digest of the checkpoint of both towers."""
    settings: dict
    """How it was trained."""
    trained_on: dict
    """dataset, split, feature set, and how many videos and classes."""
    step: int
    """Optimiser updates made."""
    identity: dict = field(default_factory=dict)
    """What it was trained with and on, as `vifistore.store.identity` says it."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """A head: a pooling, and for A5 the prompts of class names."""

    header: HeadHeader
    pooling: nn.Module
    prompts: NamePrompts | None = None

    @property
    def modules(self) -> nn.ModuleDict:
        """All that is learned, by name."""
        parts = {"pooling": self.pooling, "prompts": self.prompts}
        return nn.ModuleDict({name: part for name, part in parts.items() if part is not None})

    @property
    def digest(self) -> str:
        """What the pooling is: its kind, its sizes and its weights."""
        shape = {"kind": self.header.kind, **asdict(self.header.pooling)}
        return weights_digest(shape, self.pooling.state_dict())

    @property
    def image_digest(self) -> str:
        """Digest of image tower and pooling together."""
        return pooled_digest(self.header.image_digest, self.digest)

    @property
    def text_digest(self) -> str:
        """Digest of the text tower, together with the prompts where there are some."""
        if self.prompts is None or self.header.prompts is None:
            return self.header.text_digest
        prompts = weights_digest(asdict(self.header.prompts), self.prompts.state_dict())
        return digest_of({"text": self.header.text_digest, "prompts": prompts})


def new_head(header: HeadHeader) -> Head:
    """Return a head with its first weights."""
    prompts = NamePrompts(**asdict(header.prompts)) if header.prompts else None
    return Head(header=header, pooling=new_pooling(header.kind, header.pooling), prompts=prompts)


def save_head(path: Path, head: Head) -> None:
    """Write a head to `path`; the file is on the disk before it has its name."""
    state = head.modules.state_dict()
    weights = {key: value.detach().cpu().contiguous().clone() for key, value in state.items()}
    metadata = {"format": "pt", _HEADER_KEY: json.dumps(asdict(head.header))}
    put_file(path, save(weights, metadata))


def load_head(path: Path) -> Head:
    """Read a head.

    Raises ModelError if the file is missing or torn, is no head, or holds other tensors than it
    says.
    """
    if not path.is_file():
        raise ModelError(f"there is no head at {path}; train one with: vifi train-head")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_HEADER_KEY, "")
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} is no readable safetensors file ({error}); train the head again"
        ) from error
    header = _parse(path, text)
    # Memory is taken only once the tensors are known to be those that the header speaks of.
    with torch.device("meta"):
        head = new_head(header)
    _check_weights(path, head, weights)
    head.modules.load_state_dict(weights, assign=True)
    head.modules.requires_grad_(False)
    return head


def _parse(path: Path, text: str) -> HeadHeader:
    if not text:
        raise ModelError(f"{path} holds no head; give a file that vifi train-head wrote")
    try:
        known = HeadHeader.__dataclass_fields__
        fields = {name: value for name, value in parse_json_object(text).items() if name in known}
        fields["pooling"] = PoolingShape(**fields["pooling"])
        fields["prompts"] = PromptsShape(**fields["prompts"]) if fields["prompts"] else None
        header = HeadHeader(**fields)
        _check_header(header)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path} has a header that cannot be read ({error}); train the head again"
        ) from error
    return header


def _check_header(header: HeadHeader) -> None:
    """Raise ValueError for a value that no head has."""
    if header.kind not in get_args(HeadKind):
        raise ValueError(f"head {header.kind!r} is unknown")
    if (header.prompts is not None) != (header.kind in PROMPTED_HEADS):
        raise ValueError("prompts of class names belong to a5 and a6, and to no other head")
    sizes = asdict(header.pooling) | (asdict(header.prompts) if header.prompts else {})
    for name, size in (sizes | {"step": header.step}).items():
        least = 0 if name in _MAY_BE_NONE else 1
        most = MOST_LAYERS if name == "layers" else _LARGEST_SIZE
        if type(size) is not int or not least <= size <= most:
            raise ValueError(f"{name} is {size!r}, not a whole number from {least} to {most}")
    for name in ("image_digest", "text_digest", "parent"):
        if not isinstance(getattr(header, name), str):
            raise ValueError(f"{name} is no text")
    for name in ("settings", "trained_on", "identity"):
        if not isinstance(getattr(header, name), dict):
            raise ValueError(f"{name} is no JSON object")
    parse_identity(header.identity)


def _check_weights(path: Path, head: Head, weights: dict[str, torch.Tensor]) -> None:
    expected = {key: tuple(value.shape) for key, value in head.modules.state_dict().items()}
    actual = {key: tuple(value.shape) for key, value in weights.items()}
    if expected != actual:
        key = sorted(key for key in expected | actual if expected.get(key) != actual.get(key))[0]
        raise ModelError(
            f"{path} does not hold the tensors its header speaks of, for instance {key}; train "
            "the head again"
        )
    if wrong := sorted(key for key in weights if weights[key].dtype != torch.float32):
        raise ModelError(
            f"{path} holds {wrong[0]} as {weights[wrong[0]].dtype}, not as float32; train the head "
            "again"
        )
    if not all(math.isfinite(value.sum().item()) for value in weights.values()):
        raise ModelError(f"{path} holds numbers that are not finite; train the head again")
