"""A block of an OpenCLIP transformer in few passes over its tokens, for inference.

    [q k v] = LN(x) W + b        one product, of which the heads are views: nothing is rearranged
    x <- x + (softmax(q k' / sqrt(width of a head)) v) W_o + b_o
    x <- x + g(LN(x) W_1 + b_1) W_2 + b_2

The factors of LayerScale are multiplied into W_o, b_o, W_2 and b_2. A block of which only the class
token is read computes queries and MLP of that token alone: rows of a product do not depend on each
other. (Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", equations 1-4.)
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vifistore.models.openclip_parts import ResidualBlock


class PackedBlock(nn.Module):
    """What a `ResidualAttentionBlock` computes of tokens among themselves."""

    def __init__(self, block: ResidualBlock, *, class_token: bool, rounds_products: bool) -> None:
        """Takes the block's own weights. With `class_token` it gives that token alone. With
        `rounds_products` it rounds between product and bias, and attends by plain products, as
        torch's whole attention layer on a CPU does: then numbers are bit for bit those of it."""
        super().__init__()
        attention = block.attn
        self.num_heads, self._class_token = attention.num_heads, class_token
        self._rounds_products = rounds_products
        self.ln_1, self.ln_2 = block.ln_1, block.ln_2
        self.weight = nn.Parameter(attention.in_proj_weight, requires_grad=False)
        self.bias: Tensor | None
        bias = attention.in_proj_bias
        known = None if bias is None else nn.Parameter(bias, requires_grad=False)
        self.register_parameter("bias", known)
        joined = nn.Sequential if rounds_products else _scaled
        self.outwards = joined(attention.out_proj, block.ls_1)
        self.widen, self.activation = block.mlp.c_fc, block.mlp.gelu
        self.narrow = joined(block.mlp.c_proj, block.ls_2)

    def forward(self, tokens: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        """`[frame token width]` -> the same, or `[frame 1 width]` of the class token; without a
        mask, as image towers call it."""
        assert attn_mask is None, "frames hide nothing"
        normed = self.ln_1(tokens)
        if self._class_token:
            tokens = tokens[:, :1]
        tokens = tokens + self.outwards(self._mixed(normed))
        return tokens + self.narrow(self.activation(self.widen(self.ln_2(tokens))))

    def _mixed(self, normed: Tensor) -> Tensor:
        """The values that each token, or the class token, takes of the others, `[frame token
        width]`."""
        width = normed.shape[-1]
        if not self._class_token:
            query, key, value = self._heads(normed, 0, 3 * width)
        else:
            # Of two axes: with three, torch would copy rows that lie apart.
            (query,) = self._heads(normed[:, 0], 0, width)
            key, value = self._heads(normed, width, 3 * width)
        if self._rounds_products:
            root = torch.tensor(query.shape[-1], dtype=query.dtype).sqrt().item()
            query = query * torch.tensor(1 / root, dtype=query.dtype)
            mixed = (query @ key.mT).softmax(dim=-1) @ value
        else:
            mixed = functional.scaled_dot_product_attention(query, key, value)
        return mixed.transpose(1, 2).flatten(2)

    def _heads(self, normed: Tensor, start: int, stop: int) -> Sequence[Tensor]:
        """Queries, keys or values of tokens `[frame token width]` or of a token `[frame width]`, by
        the rows of the joint weights that make them: views `[frame head token channel]`."""
        weight = self.weight[start:stop]
        bias = None if self.bias is None else self.bias[start:stop]
        if self._rounds_products and bias is not None:
            made = functional.linear(normed, weight) + bias
        else:
            made = functional.linear(normed, weight, bias)
        made, parts = made.view(len(made), -1, stop - start), (stop - start) // normed.shape[-1]
        return made.unflatten(-1, (parts, self.num_heads, -1)).permute(2, 0, 3, 1, 4).unbind()


@torch.no_grad()
def _scaled(layer: nn.Linear, scale: nn.Module) -> nn.Linear:
    """A linear layer, and what LayerScale multiplies behind it, as one."""
    gamma = getattr(scale, "gamma", None)
    if gamma is None:
        return layer
    layer.weight = nn.Parameter(layer.weight * gamma[:, None], requires_grad=False)
    if layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias * gamma, requires_grad=False)
    return layer
