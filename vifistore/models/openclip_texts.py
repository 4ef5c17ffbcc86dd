"""OpenCLIP's text towers and tokenizers as the text side of an encoder."""

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import lru_cache

import numpy as np
import torch

from vifistore.cleaning import AS_IS
from vifistore.errors import ModelError, TextTowerError, UsageError
from vifistore.models.cut_context import encode_cut_texts, read_lengths
from vifistore.models.encoders import TextSide, encode_in_batches
from vifistore.models.hub import offline_if_unreachable
from vifistore.models.openclip_parts import Clip
from vifistore.models.prompt_learning import num_text_prompts
from vifistore.models.registry import open_clip
from vifistore.models.skeletons import MissingText, why_no_text
from vifistore.models.wording import PAPER_TEMPLATE, PROMPT_CLEANING, PROMPT_TEMPLATE

# One token of OpenCLIP's vocabulary, for the words that text prompts take the place of.
_PLACEHOLDER = "X"

_USUAL_LENGTH = 77

logger = logging.getLogger("vifi")


class OpenClipTextSide(TextSide):
    """The text tower of a model of OpenCLIP, with its learned prompts where it has any."""

    def __init__(self, clip: Clip, model: str, config: dict) -> None:
        self._clip, self._model, self._config = clip, model, config

    @property
    def context_length(self) -> int:
        """Tokens of a text, as OpenCLIP's tokenizer of the model cuts and pads it."""
        # Not the model's own: a tower of transformers says how many it could take.
        return int(self._config["text_cfg"].get("context_length", _USUAL_LENGTH))

    @property
    def template(self) -> str:
        """The paper's, as its code has it for models with prompts and without."""
        return PROMPT_TEMPLATE if num_text_prompts(self._clip) else PAPER_TEMPLATE

    @property
    def cleaning(self) -> str:
        """Likewise."""
        return PROMPT_CLEANING if num_text_prompts(self._clip) else AS_IS

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return un-normalised text embeddings, float32 [text dim]; texts of one length make
        batches."""
        tokens = self.tokens(texts)
        self.check_lengths(texts, tokens)
        device = next(self._clip.parameters()).device
        return encode_in_batches(
            lambda places: encode_cut_texts(self._clip, tokens[places].to(device)),
            _alike(self._clip, tokens),
            device,
        )

    def tokens(self, texts: Sequence[str]) -> torch.Tensor:
        """Tokens of texts by the model's own tokenizer, int64 [text token], cut at its context.

        Where the model has text prompts, the words are in front that they take the place of. Raises
        TextTowerError if the tokenizer cannot be had.
        """
        own, num_prompts = self._tokenizer(), num_text_prompts(self._clip)
        return _with_placeholders(own, num_prompts, texts) if num_prompts else own(list(texts))

    def check_lengths(self, texts: Sequence[str], tokens: torch.Tensor) -> None:
        """Warn of texts that the context cuts, by their tokens, int64 [text token].

        Raises UsageError if that makes two of them equal.
        """
        # Where no padding is left over, a text just fits, or was cut.
        padding, place = self._padding()
        full = tokens[:, place] != padding
        if not full.any():
            return
        first = texts[int(full.nonzero()[0])]
        logger.warning(
            "%d of %d texts fill the context of %d tokens of %s and may be cut, for instance %r",
            int(full.sum()),
            len(texts),
            tokens.shape[1],
            self._model,
            first,
        )
        cut = {text for text, is_full in zip(texts, full.tolist(), strict=True) if is_full}
        equal = len(cut) - len(torch.unique(tokens[full], dim=0))
        if equal:
            raise UsageError(
                f"{equal} texts become equal when cut to {tokens.shape[1]} tokens; use a shorter "
                "--template"
            )

    def _tokenizer(self) -> Callable[[list[str]], torch.Tensor]:
        """OpenCLIP's tokenizer of the model. Raises TextTowerError if it cannot be had."""
        tower = getattr(self._clip, "text", None)
        if isinstance(tower, MissingText):
            raise TextTowerError(tower.why)
        is_on_hub = bool(self._config["text_cfg"].get("hf_tokenizer_name"))
        try:
            with offline_if_unreachable() if is_on_hub else nullcontext():
                return _own_tokenizer(self._model, self.context_length)
        except (ImportError, OSError, ValueError, RuntimeError) as error:
            raise TextTowerError(why_no_text(self._model, self._config)) from error

    def _padding(self) -> tuple[int, int]:
        """The number that pads a text, and the place that has it unless the text fills its
        context."""
        text, own = self._config["text_cfg"], getattr(self._tokenizer(), "tokenizer", None)
        pad = getattr(own, "pad_token_id", None) or 0
        # One ends texts by what pads them, the other puts a class token behind the padding.
        is_last_taken = own is not None and pad == getattr(own, "eos_token_id", None)
        return pad, -2 if is_last_taken or text.get("tokenizer_mode") == "clips" else -1


def _alike(clip: Clip, tokens: torch.Tensor) -> list[torch.Tensor]:
    """Places in tokens `[text token]` of texts that are cut alike, int64 [text]."""
    lengths = read_lengths(clip, tokens)
    if lengths is None:
        return [torch.arange(len(tokens))]
    return [(lengths == length).nonzero()[:, 0] for length in lengths.unique()]


@lru_cache(maxsize=4)
def _own_tokenizer(model: str, context_length: int) -> Callable[[list[str]], torch.Tensor]:
    # Reading its vocabulary takes a good part of a second.
    return open_clip.get_tokenizer(model, context_length=context_length)


def _with_placeholders(
    own: Callable[[list[str]], torch.Tensor], num_prompts: int, texts: Sequence[str]
) -> torch.Tensor:
    words = " ".join([_PLACEHOLDER] * num_prompts)
    tokens = own([f"{words} {text}" for text in texts])
    if len(tokens[:, 1 : 1 + num_prompts].unique()) > 1:
        raise ModelError(
            f"the tokenizer does not read {_PLACEHOLDER!r} as one token, so text prompts have no "
            "place; use a model with OpenCLIP's own tokenizer, such as ViT-B-16-quickgelu"
        )
    return tokens
