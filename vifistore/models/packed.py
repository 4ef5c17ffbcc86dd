"""A bfloat16 ViT whose weights lie in memory as the CPU's matrix products read them.

`torch.nn.Linear` rearranges its weights at every call, which costs some percent of the time of a
small batch. Packed once, they give the same products.
"""

import torch
from torch import Tensor, nn


def can_pack() -> bool:
    """Whether this CPU multiplies bfloat16, and this torch knows packed weights.

    The operators are the ones its compiler emits, without a public name; where they are not, towers
    run as they are.
    """
    operators = torch.ops.mkldnn
    needed = ("_is_mkldnn_bf16_supported", "_linear_pointwise", "_reorder_linear_weight")
    has_all = all(hasattr(operators, name) for name in needed)
    return has_all and operators._is_mkldnn_bf16_supported()


def pack(tower: nn.Module) -> None:
    """Pack, in place, what a bfloat16 tower's transformer blocks multiply by.

    It can only infer afterwards, and has no such weights to save. What is not made of OpenCLIP's
    plain blocks stays as it is.
    """
    for block in getattr(getattr(tower, "transformer", None), "resblocks", ()):
        if _is_plain(block.attn):
            block.attn = PackedAttention(block.attn)
        _pack_mlp(block.mlp)


def _pack_mlp(mlp: nn.Sequential) -> None:
    for name, layer in mlp.named_children():
        if isinstance(layer, nn.Linear):
            setattr(mlp, name, PackedLinear(layer.weight, layer.bias))
    if type(mlp.gelu) is nn.GELU and mlp.gelu.approximate == "none":
        # While the product is still in the registers.
        mlp.c_fc.activation = "gelu"
        mlp.gelu = nn.Identity()


class PackedLinear(nn.Module):
    """What `torch.nn.Linear` computes, in bfloat16 and without gradients."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.activation = "none"
        """Applied to the result: "none", or "gelu", the exact one."""
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach())
        self._bias = None if bias is None else bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        """[... input] -> [... output]."""
        multiply = torch.ops.mkldnn._linear_pointwise
        return multiply(x, self._weight, self._bias, self.activation, [], "none")


class PackedAttention(nn.Module):
    """What `torch.nn.MultiheadAttention` computes of tokens among themselves."""

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self._num_heads = attention.num_heads
        self._inwards = PackedLinear(attention.in_proj_weight, attention.in_proj_bias)
        self._outwards = PackedLinear(attention.out_proj.weight, attention.out_proj.bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        need_weights: bool = False,
        attn_mask: Tensor | None = None,
    ) -> tuple[Tensor, None]:
        """Three times the same [frame token width] -> the attended [frame token width], and None
        for the weights, as OpenCLIP's image towers call it."""
        assert query is key is value
        assert attn_mask is None
        assert not need_weights
        heads = self._inwards(query).unflatten(-1, (3, self._num_heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = heads
        # For the few tokens of a picture this takes 0.6 times as long as
        # `scaled_dot_product_attention`, whose blocks are made for long texts.
        shares = (query * query.shape[-1] ** -0.5 @ key.mT).softmax(dim=-1)
        return self._outwards((shares @ value).transpose(1, 2).flatten(-2)), None


def _is_plain(attention: nn.Module) -> bool:
    return (
        type(attention) is nn.MultiheadAttention
        and attention.batch_first
        and attention.in_proj_weight is not None
        and attention.bias_k is None
        and not attention.add_zero_attn
    )
