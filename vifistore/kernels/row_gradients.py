"""Gradients of frames and text from those of every frame's logits, for
vifistore.kernels.frame_softmax, which holds the formulas."""

from typing import Any

import torch
from torch import Tensor

from vifistore.kernels.dispatch import blocks_over, card_of, launch
from vifistore.kernels.frame_gradient_kernels import (
    _frames_gradient_kernel,
    _logit_gradient_kernel,
    _text_gradient_kernel,
)
from vifistore.kernels.frame_logits import FrameLogits, RowSums
from vifistore.kernels.tile_choices import FRAMES, LOGIT_GRADIENT, SCORE_GRADIENT, TEXT

# Bytes of the gradients of logits that are there at once; half of a call's at most.
PART_BYTES = 8 * 2**20
# Lines of them are as long as loads of whole 32 bytes want.
LINE = 16


class RowGradients:
    """Gradients of frames and text, made of those of the logits of some rows at a time."""

    def __init__(
        self, logits: FrameLogits, upstream: Tensor, scores: Tensor | None, sums: RowSums
    ) -> None:
        self.logits, self.upstream, self.scores, self.sums = logits, upstream, scores, sums
        self.spread = self._spread()
        self.num_rows = logits.normaliser.numel()
        self.width = blocks_over(len(logits.text), LINE) * LINE
        self.tiles = logits.tiles(LOGIT_GRADIENT if scores is None else SCORE_GRADIENT)

    def of_frames_and_text(
        self, is_frames: bool, is_text: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """Either is None where it is not asked for."""
        if not (is_frames or is_text):
            return None, None
        frames = torch.empty_like(self.logits.frames) if is_frames else None
        sums = self._text_sums() if is_text else None
        rows = self._rows_at_once()
        for first in range(0, self.num_rows, rows):
            part = first, min(first + rows, self.num_rows)
            terms = self._of_logits(*part)
            if frames is not None:
                self._add_to_frames(terms, frames, *part)
            if sums is not None:
                self._add_to_text(terms, sums, *part)
        return frames, None if sums is None else self._of_text(sums)

    def _rows_at_once(self) -> int:
        """Whole tiles, and half of the rows at most where that is one."""
        terms, block = self.tiles["GRADIENT_TERMS"], self.tiles["BLOCK_ROWS"]
        row_bytes = terms * self.width * self._term_dtype.itemsize
        most = min(PART_BYTES // row_bytes, blocks_over(self.num_rows, 2))
        return max(1, most // block) * block

    @property
    def _term_dtype(self) -> torch.dtype:
        is_half = self.tiles["GRADIENT_TERMS"] > 1
        return self.logits.frames.dtype if is_half else self.logits.normaliser.dtype

    def _of_logits(self, first: int, end: int) -> Tensor:
        """a_rc of some rows as terms, `[term row class]`, spread."""
        logits, tiles = self.logits, self.tiles
        shape = tiles["GRADIENT_TERMS"], end - first, self.width
        terms = logits.frames.new_empty(shape, dtype=self._term_dtype)
        num_frames, (num_classes, dim) = logits.frames.shape[1], logits.text.shape
        blocks = tiles["BLOCK_ROWS"], tiles["BLOCK_CLASSES"]
        launch(
            _logit_gradient_kernel,
            (blocks_over(end - first, blocks[0]), blocks_over(self.width, blocks[1])),
            *logits.arguments,
            *(self.upstream, self.scores, self.sums.total, self.spread, terms),
            *(first, end, num_frames, num_classes, dim, self.width),
            **tiles,
        )
        return terms

    def _add_to_frames(self, terms: Tensor, grad: Tensor, first: int, end: int) -> None:
        logits, tiles = self.logits, _product_tiles(self.logits.tiles(FRAMES))
        num_classes, dim = logits.text.shape
        blocks = tiles["BLOCK_ROWS"], tiles["BLOCK_OUT"]
        launch(
            _frames_gradient_kernel,
            (blocks_over(end - first, blocks[0]), blocks_over(dim, blocks[1])),
            terms,
            *(logits.words, logits.frames, logits.logit_scale, logits.row_inverse),
            *(self.sums.along, self.spread, grad),
            *(first, end, num_classes, dim, self.width),
            TEXT_TERMS=self.tiles["TEXT_TERMS"],
            **tiles,
        )

    def _text_grid(self) -> tuple[dict[str, Any], tuple[int, int]]:
        tiles = _product_tiles(self.logits.tiles(TEXT))
        num_classes, dim = self.logits.text.shape
        blocks = tiles["BLOCK_CLASSES"], tiles["BLOCK_OUT"]
        return tiles, (blocks_over(num_classes, blocks[0]), blocks_over(dim, blocks[1]))

    def _text_sums(self) -> Tensor:
        """Zeros for H_c of as many splits of the rows as keep a card at work, below half of a
        tensor [view frame class]: `[split class dim]`."""
        (num_classes, dim), (_, grid) = self.logits.text.shape, self._text_grid()
        at_once = card_of(self.upstream).multiprocessors // (grid[0] * grid[1])
        splits = max(1, min(at_once, self.num_rows // (2 * dim)))
        return self.sums.total.new_zeros(splits, num_classes, dim)

    def _add_to_text(self, terms: Tensor, sums: Tensor, first: int, end: int) -> None:
        tiles, grid = self._text_grid()
        launch(
            _text_gradient_kernel,
            (*grid, len(sums)),
            terms,
            *(self.logits.frames, sums),
            *(first, end, *self.logits.text.shape, self.width),
            **tiles,
        )

    def _of_text(self, sums: Tensor) -> Tensor:
        """The gradient of the text, of its sums."""
        text = self.logits.text
        unit, pulled = text * self.logits.class_inverse[:, None], sums.sum(0)
        if self.spread is not None:
            pulled /= self.spread
        pulled -= unit * (unit * pulled).sum(-1, keepdim=True)
        return (self.logits.logit_scale * pulled).to(text.dtype)

    def _spread(self) -> Tensor | None:
        """What brings a_rc into the range of float16, the largest below its end, `[]`."""
        logits = self.logits
        if logits.frames.dtype != torch.float16 or logits.text.dtype != torch.float16:
            return None
        # |d_rc| <= |A_rc| + p_rc |q_r|, and a frame's share of a score's gradient is below it.
        bound = 2 * self.upstream.abs().sum(-1).amax()
        bound *= logits.row_inverse.amax() * logits.class_inverse.amax()
        return 2.0**15 / bound.clamp(min=1e-30)


def _product_tiles(tiles: dict[str, Any]) -> dict[str, Any]:
    """Those of a product with gradients of logits."""
    names = "BLOCK_ROWS", "BLOCK_CLASSES", "DOT_TYPE", "GRADIENT_TERMS", "num_warps"
    return {"BLOCK_OUT": tiles["BLOCK_DIM"], **{name: tiles[name] for name in names}}
