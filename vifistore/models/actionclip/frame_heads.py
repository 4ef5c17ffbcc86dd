"""ActionCLIP's heads: what it makes of the embeddings of a view's frames, before their mean.

With x_f the embedding of frame f and d their length,

    mean         x_f                                      "meanP"; there is nothing to learn
    transf       z_f + x_f, z = blocks(x + positions)     "Transf", its default: see
                                                          `temporal_transformer.py`
    lstm         h_f + x_f, h of an LSTM over x           "LSTM", one layer, d wide
    conv1d       c_f + x_f, c of a convolution over x     "Conv_1D", 3 wide, of each dimension alone
    transf-cls   one vector, that of a class token        "Transf_cls": 6 blocks over
                 in front of the frames                   [class, x] + positions, normalising last

(sallymmx/ActionCLIP, modules/Visual_Prompt.py). Its convolution reads the d numbers of T frames in
their order in memory as d rows of T, so that neighbours are dimensions and not frames; its files
hold weights that were learned so, and here they are read so as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vifistore.errors import ModelError
from vifistore.models.actionclip.temporal_transformer import (
    FrameHead,
    PoolingShape,
    new_transformer,
)

HEADS = ("mean", "transf", "lstm", "conv1d", "transf-cls")
# Those with a table of positions, and blocks.
_TRANSFORMERS = ("transf", "transf-cls")
# Of the head with a class token: always these, and a dropout of 0.1 in training, which is left out
# here so that a run that is stopped goes on as it was.
_TOKEN_HEADS, _TOKEN_MLP_WIDTH = 8, 2048
_FIRST_SPREAD = 0.02


@dataclass(frozen=True, kw_only=True)
class HeadSizes:
    """How large a head is."""

    head: str
    """One of HEADS."""
    dim: int
    """Length of an embedding."""
    positions: int = 0
    """Rows of its table of positions; 0 for a head without."""
    layers: int = 0
    """Blocks of a transformer; 0 for a head without."""

    @property
    def is_transformer(self) -> bool:
        """Whether it has positions and blocks."""
        return self.head in _TRANSFORMERS


def new_frame_head(sizes: HeadSizes) -> FrameHead:
    """A head with its first weights, which `outputs` gives [view frame dim] -> [view output dim].

    Raises ModelError if the dimensions cannot be divided among heads of attention.
    """
    if sizes.head == "mean":
        return FrameMean()
    if sizes.head == "lstm":
        return FrameLstm(sizes.dim)
    if sizes.head == "conv1d":
        return FrameConvolution(sizes.dim)
    if sizes.head == "transf-cls":
        return ClassTokenHead(sizes)
    shape = PoolingShape(dim=sizes.dim, num_frames=sizes.positions, layers=sizes.layers)
    return new_transformer("actionclip-transf", shape)


class FrameMean(FrameHead):
    """Frames as they are."""

    def outputs(self, frames: Tensor) -> Tensor:
        """Frames `[view frame dim]`, unchanged."""
        return frames


class FrameLstm(FrameHead):
    """An LSTM over frames, added to them."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dim, dim, batch_first=True)

    def outputs(self, frames: Tensor) -> Tensor:
        """Frames `[view frame dim]` -> the same shape."""
        return self.lstm(frames)[0] + frames


class FrameConvolution(FrameHead):
    """A depth-wise convolution, added to the frames."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.shift = nn.Conv1d(dim, dim, 3, padding=1, groups=dim, bias=False)
        with torch.no_grad():
            self.shift.weight.copy_(_shifts(dim))

    def outputs(self, frames: Tensor) -> Tensor:
        """Frames `[view frame dim]` -> the same shape."""
        num_views, num_frames, dim = frames.shape
        rows = frames.reshape(num_views, dim, num_frames)
        return self.shift(rows).transpose(1, 2) + frames


def _shifts(dim: int) -> Tensor:
    """Weights [dim 1 3] that move a quarter of the rows on, and the last quarter back."""
    weight, quarter = torch.zeros(dim, 1, 3), dim // 4
    weight[:quarter, 0, 0] = 1
    weight[quarter : quarter + dim // 2, 0, 1] = 1
    weight[-quarter:, 0, 2] = 1
    return weight


class ClassTokenHead(FrameHead):
    """A transformer over a class token and the frames, read at the token."""

    def __init__(self, sizes: HeadSizes) -> None:
        """`positions` of the sizes are those of the class token and of the frames."""
        super().__init__()
        if sizes.dim % _TOKEN_HEADS:
            raise ModelError(
                f"embeddings of {sizes.dim} dimensions cannot be divided among {_TOKEN_HEADS} "
                "heads of attention; take another head than transf-cls"
            )
        block = nn.TransformerEncoderLayer(
            sizes.dim, _TOKEN_HEADS, _TOKEN_MLP_WIDTH, dropout=0.0, batch_first=True
        )
        norm = nn.LayerNorm(sizes.dim)
        self.blocks = nn.TransformerEncoder(block, sizes.layers, norm, enable_nested_tensor=False)
        self.class_token = nn.Parameter(_near_zero(1, sizes.dim))
        self.positions = nn.Parameter(_near_zero(sizes.positions, sizes.dim))
        self.blocks.apply(_start_near_zero)

    def outputs(self, frames: Tensor) -> Tensor:
        """Frames `[view frame dim]` -> `[view 1 dim]`; there are as many as places for them."""
        tokens = torch.cat([self.class_token.expand(len(frames), 1, -1), frames], dim=1)
        return self.blocks(tokens + self.positions)[:, :1]


def _near_zero(*shape: int) -> Tensor:
    """A normal distribution, folded back at two deviations."""
    return torch.randn(*shape).fmod(2) * _FIRST_SPREAD


def _start_near_zero(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        with torch.no_grad():
            module.weight.copy_(_near_zero(*module.weight.shape))
        nn.init.zeros_(module.bias)


def num_outputs(sizes: HeadSizes, num_frames: int) -> int:
    """Vectors that a head gives of a view of so many frames."""
    return 1 if sizes.head == "transf-cls" else num_frames


def sizes_in(state: Mapping[str, Tensor]) -> HeadSizes | None:
    """The sizes of the head whose weights `[...]` these are; None for those of none.

    That of a mean, which has none, is known by an entry `mean`.
    """
    if "mean" in state:
        return HeadSizes(head="mean", dim=0)
    if "lstm.weight_hh_l0" in state:
        return HeadSizes(head="lstm", dim=state["lstm.weight_hh_l0"].shape[-1])
    if "shift.weight" in state:
        return HeadSizes(head="conv1d", dim=len(state["shift.weight"]))
    if "positions" not in state or state["positions"].ndim != 2:
        return None
    head = "transf-cls" if "class_token" in state else "transf"
    prefix = "blocks.layers." if head == "transf-cls" else "blocks."
    blocks = {key.removeprefix(prefix).partition(".")[0] for key in state if key.startswith(prefix)}
    numbers = {name for name in blocks if name.isdecimal()}
    positions, dim = state["positions"].shape
    return HeadSizes(head=head, dim=dim, positions=positions, layers=len(numbers))
