"""Cross-frame communication: what one block of X-CLIP's image tower tells the other frames.

    m_t = W c_t + b          c_t: the class token of frame t, t = 1..T
    m   = m + A(LN(m))       attention over the T frames of one video
    x_t = [x_t, m_t]         one more token of frame t, through this block alone

(Ni et al. 2022, section 3.2; microsoft/VideoX, X-CLIP/models/cct.py.) The block then runs as it
always does, and the message is taken off behind it: its way through the block's MLP changes no
other token.
"""

import torch
from torch import Tensor, nn


class FrameMessages(nn.Module):
    """The messages of one block."""

    def __init__(self, width: int, heads: int) -> None:
        """torch's own first weights, as published."""
        super().__init__()
        self.fc = nn.Linear(width, width)
        self.ln = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, tokens: Tensor, num_frames: int) -> Tensor:
        """Tokens `[batch*frame token width]`, the class token first -> with a message behind them,
        `[batch*frame token+1 width]`."""
        messages = self.fc(tokens[:, 0]).unflatten(0, (-1, num_frames))
        normed = self.ln(messages)
        messages = messages + self.attn(normed, normed, normed, need_weights=False)[0]
        return torch.cat([tokens, messages.flatten(0, 1)[:, None]], dim=1)
