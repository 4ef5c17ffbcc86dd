"""The texts of a model of transformers, by the tokenizer of its folder."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vifistore.errors import TextTowerError, UsageError, first_line, short
from vifistore.files import open_regular
from vifistore.models.encoders import TextSide, encode_in_batches
from vifistore.models.hf.architectures import Architecture
from vifistore.models.hub import quiet

# What CLIP takes, where a text tower without positions of its own takes thousands.
_LONGEST = 77
_IDS = "input_ids"
# Where none is there, transformers makes a tokenizer that knows no word.
_VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "spiece.model", "tokenizer.model")
_OF_TOKENS = (
    *_VOCABULARIES,
    *("merges.txt", "added_tokens.json", "tokenizer_config.json", "special_tokens_map.json"),
)

logger = logging.getLogger("vifi")


def tokenizer_digest(folder: Path) -> str:
    """Digest of the files of a folder that decide which tokens a text is."""
    digest = hashlib.sha256()
    for name in _OF_TOKENS:
        if (folder / name).is_file():
            with open_regular(folder / name) as file:
                own = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{name} {own} ".encode())
    return digest.hexdigest()


class HfTextSide(TextSide):
    """Text tower and tokenizer. All texts are padded to one length, as the towers were trained."""

    def __init__(self, model: Any, architecture: Architecture, folder: Path, name: str) -> None:
        self._model, self._architecture = model, architecture
        self._folder, self._name = folder, name
        self._tokenizer: Any = None

    @property
    def context_length(self) -> int:
        """Tokens of a text, as the positions of the tower go."""
        positions = self._model.config.text_config.max_position_embeddings
        return min(positions, _LONGEST)

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Tokens, int64 [text token]. Raises TextTowerError where there is no tokenizer."""
        return self._tokenize(texts)[_IDS]

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return un-normalised embeddings, float32 [text dim].

        Raises TextTowerError where there is no tokenizer, UsageError for texts that become equal
        when they are cut.
        """
        tokens = self._tokenize(texts)
        self._check_lengths(texts, tokens[_IDS])
        device = next(self._model.parameters()).device

        def encode(places: Tensor) -> Tensor:
            given = {key: value[places].to(device) for key, value in tokens.items()}
            return self._architecture.texts(self._model, given)

        return encode_in_batches(encode, [torch.arange(len(texts))], device)

    def _tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """What the tower takes of texts, each int64 [text token]."""
        options = {"padding": "max_length", "truncation": True, "max_length": self.context_length}
        # As the towers were trained: tokenizers of transformers' Siglip2 pad in front.
        options["padding_side"] = "right"
        given = self._load()(self._cleaned(texts), return_tensors="pt", **options)
        known = (_IDS, *(["attention_mask"] if self._architecture.masks_padding else []))
        largest, size = int(given[_IDS].max()), self._model.config.text_config.vocab_size
        if largest >= size:
            raise TextTowerError(
                f"the tokenizer of {short(self._name, 80)} gives token {largest} of {size}, so it "
                "belongs to another model; copy the right one into its folder"
            )
        return {key: given[key] for key in known if key in given}

    def _cleaned(self, texts: Sequence[str]) -> list[str]:
        """Texts as the tokenizer is given them."""
        return [self._architecture.cleaned(text) for text in texts]

    def _load(self) -> Any:
        if self._tokenizer is None:
            try:
                self._tokenizer = self._made()
            # What it raises for files that are missing, torn, or want a package or code of theirs.
            except (OSError, ValueError, ImportError, KeyError, TypeError, AttributeError) as error:
                raise TextTowerError(
                    f"the texts of {short(self._name, 80)} need its tokenizer, which cannot be "
                    f"made ({first_line(error, 100)}); copy tokenizer.json and "
                    "tokenizer_config.json into its folder"
                ) from error
        return self._tokenizer

    def _made(self) -> Any:
        """The tokenizer of the folder. Raises FileNotFoundError where it holds no vocabulary."""
        from transformers import AutoTokenizer

        if not any((self._folder / name).is_file() for name in _VOCABULARIES):
            raise FileNotFoundError("no tokenizer.json")
        options = {"local_files_only": True, "trust_remote_code": False}
        with quiet():
            return AutoTokenizer.from_pretrained(self._folder, **options)

    def _check_lengths(self, texts: Sequence[str], tokens: Tensor) -> None:
        """Warn of texts that are cut. Raises UsageError if that makes two of them equal."""
        whole = self._load()(self._cleaned(texts), truncation=False)[_IDS]
        cut = [index for index, ids in enumerate(whole) if len(ids) > tokens.shape[1]]
        if not cut:
            return
        logger.warning(
            "%d of %d texts are cut to the %d tokens of %s, for instance %r",
            *(len(cut), len(texts), tokens.shape[1], self._name, texts[cut[0]]),
        )
        if len(torch.unique(tokens[cut], dim=0)) < len({texts[index] for index in cut}):
            raise UsageError(
                f"texts become equal when cut to {tokens.shape[1]} tokens; use a shorter --template"
            )
