"""What an image tower has to do for a frame: products, attention, and the passes between them.

A GPU has three floors. Matrix products and attention take their operations over its rates. All
else (sums, norms, activations, copies) takes the bytes that it reads and writes over the rate of
the memory. Those are counted twice: `eager`, an operation a pass; `fused`, as a compiler joins
them, that can fuse whatever lies between two products into one pass and the products themselves
with nothing. Weights are not counted: a batch shares them. Nothing is computed: tensors have shapes
and no data.
"""

import contextlib
import copy
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from vifistore.models.registry import model_config, open_clip

_FRAMES = 2
_BYTES_OF_BF16 = 2
_PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "convolution")
_NO_PASS = ("_unsafe_view", "_reshape_alias", "detach", "empty", "new_empty", "lift_fresh")


@dataclass(frozen=True, kw_only=True)
class TowerWork:
    """Of one frame."""

    product_flops: int
    """Floating-point operations of matrix products and of the convolution of patches; a
    multiply-accumulate is two."""
    attention_flops: int
    """Of the products within attention."""
    eager_bytes: int
    """Read and written by all other operations, one by one, in bf16."""
    fused_bytes: int
    """The same where all that lies between two products is one pass."""
    passes: int
    """Such passes."""

    def seconds(self, products: float, attention: float, memory: float) -> float:
        """The least that a frame takes at these rates, operations and bytes a second."""
        operations = self.product_flops / products + self.attention_flops / attention
        return operations + self.fused_bytes / memory


def tower_work(tower: nn.Module, height: int, width: int) -> TowerWork:
    """Count the work of a tower in eval mode, whose weights may be without data, for a frame of
    that size in pixels."""
    shadow = _shadow(tower)
    state = {**dict(shadow.named_parameters()), **dict(shadow.named_buffers())}
    weights = {_storage(tensor) for tensor in state.values()}
    shape = (_FRAMES, 3, height, width)
    pixels = torch.empty(shape, dtype=torch.bfloat16, device="meta")
    record, whole = _Record(weights), torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with (
            torch.no_grad(),
            FlopCounterMode(display=False) as counter,
            record,
            _attention_noted(record),
        ):
            record.end(shadow(pixels))
    finally:
        torch.backends.mha.set_fastpath_enabled(whole)
    passes = record.passes()
    return TowerWork(
        product_flops=counter.get_total_flops() // _FRAMES,
        attention_flops=record.attention_flops // _FRAMES,
        eager_bytes=record.eager_bytes // _FRAMES,
        fused_bytes=sum(passes) // _FRAMES,
        passes=len(passes),
    )


def tower_without_weights(model: str) -> nn.Module:
    """The image tower of one of OpenCLIP's own transformers, by its name, in shapes alone."""
    config = model_config(model)
    vision, own = config["vision_cfg"], open_clip.model.CLIPVisionCfg
    with torch.device("meta"):
        made = open_clip.model._build_vision_tower(
            config["embed_dim"], own(**vision), config.get("quick_gelu", False)
        )
    return made.eval()


def _shadow(tower: nn.Module) -> nn.Module:
    """A copy in bf16 without data."""
    memo: dict[int, Any] = {}
    for tensor in (*tower.parameters(), *tower.buffers()):
        empty = torch.empty_like(tensor, dtype=torch.bfloat16, device="meta")
        is_weight = isinstance(tensor, nn.Parameter)
        memo[id(tensor)] = nn.Parameter(empty, requires_grad=False) if is_weight else empty
    return copy.deepcopy(tower, memo)


@dataclass
class _Value:
    """What one operation made."""

    level: int
    """How many products and passes lie before it and with it."""
    is_product: bool
    size: int = 0
    """Bytes."""
    read_elsewhere: bool = False
    """By a product or in another pass."""


@dataclass
class _Pass:
    reads: dict[tuple, int] = field(default_factory=dict)
    made: list[_Value] = field(default_factory=list)


class _Record(TorchDispatchMode):
    """Puts every operation in the pass that it could be part of."""

    def __init__(self, weights: set[int]) -> None:
        super().__init__()
        self.attention_flops = self.eager_bytes = 0
        self._weights, self._values = weights, dict[int, _Value]()
        self._passes: dict[int, _Pass] = defaultdict(_Pass)
        # A storage that is freed gives its address to the next.
        self._kept: list[object] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation, and note it."""
        given = func(*args, **(kwargs or {}))
        name = func._schema.name.removeprefix("aten::")
        if not func.is_view and name not in _NO_PASS:
            inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
            outputs = [leaf for leaf in tree_leaves(given) if isinstance(leaf, Tensor)]
            self.note(inputs, outputs, is_product=name in _PRODUCTS)
        self._kept.append(given)
        return given

    def note(
        self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], *, is_product: bool
    ) -> None:
        """Note an operation, from tensors `[...]` to tensors `[...]`."""
        read = [tensor for tensor in inputs if _storage(tensor) not in self._weights]
        known = [self._values.get(_storage(tensor), _Value(0, True)) for tensor in read]
        steps = [value.level + (is_product or value.is_product) for value in known]
        level = max(steps, default=1)
        for tensor, value in zip(read, known, strict=True):
            if value.level != level:
                value.read_elsewhere = True
                if not is_product:
                    view = (tuple(tensor.shape), tensor.stride(), tensor.storage_offset())
                    self._passes[level].reads[_storage(tensor), view] = _size(tensor)
        for tensor in outputs[:1]:
            made = _Value(level, is_product, _size(tensor))
            self._values[_storage(tensor)] = made
            if not is_product:
                self._passes[level].made.append(made)
        if not is_product:
            self.eager_bytes += sum(map(_size, (*read, *outputs[:1])))

    def end(self, given: Tensor) -> None:
        """Note what the tower gives, `[frame dim]`."""
        self._values[_storage(given)].read_elsewhere = True

    def passes(self) -> list[int]:
        """Bytes of each pass."""
        return [
            sum(found.reads.values()) + sum(v.size for v in found.made if v.read_elsewhere)
            for found in self._passes.values()
        ]


@contextlib.contextmanager
def _attention_noted(record: _Record) -> Iterator[None]:
    """Take attention for one operation, as GPUs have it, whose output lies as tokens do."""

    def attention(query: Tensor, key: Tensor, value: Tensor, *_: object, **__: object) -> Tensor:
        frames, heads, queries, width = query.shape
        given = query.new_empty(frames, queries, heads, width).transpose(1, 2)
        record.attention_flops += 4 * query.numel() * key.shape[2]
        record.note([query, key, value], [given], is_product=True)
        return given

    real = functional.scaled_dot_product_attention
    functional.scaled_dot_product_attention = attention
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = real


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _size(tensor: Tensor) -> int:
    """Bytes of the distinct elements in bf16."""
    sizes = (n for n, step in zip(tensor.shape, tensor.stride(), strict=True) if step)
    return torch.Size(sizes).numel() * _BYTES_OF_BF16
