"""Text embeddings of class names by a model's text tower."""

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import lru_cache, partial

import numpy as np
import torch

from vifistore.cleaning import AS_IS
from vifistore.errors import ModelError, TextTowerError, UsageError
from vifistore.models.cut_context import encode_cut_texts, read_lengths
from vifistore.models.hub import offline_if_unreachable
from vifistore.models.openclip_parts import Clip
from vifistore.models.prompt_learning import num_text_prompts
from vifistore.models.registry import open_clip
from vifistore.models.skeletons import MissingText, why_no_text
from vifistore.models.towers import LoadedModel
from vifistore.models.wording import (
    PAPER_TEMPLATE,
    PROMPT_CLEANING,
    PROMPT_TEMPLATE,
    check_templates,
    fill,
)

# One token of OpenCLIP's vocabulary, for the words that text prompts take the place of.
_PLACEHOLDER = "X"

# Few texts are padded to a batch: on a CPU 8 at a time are as fast as more, a GPU wants many.
_CPU_BATCH, _GPU_BATCH = 8, 128
_USUAL_LENGTH = 77

logger = logging.getLogger("vifi")


def text_fields(loaded: LoadedModel, class_names: Sequence[str], templates: Sequence[str]) -> dict:
    """Return all that decides the text embeddings, as the store keeps it.

    Raises UsageError for a template without exactly one `{}`.
    """
    check_templates(templates)
    return {
        "text_digest": loaded.text_digest,
        "logit_scale": loaded.logit_scale,
        "class_names": list(class_names),
        "templates": list(templates),
        "context_length": context_length(loaded),
        "precision": "fp32",
    }


@torch.inference_mode()
def encode_classes(
    loaded: LoadedModel, class_names: Sequence[str], templates: Sequence[str]
) -> np.ndarray:
    """Return un-normalised text embeddings, float32 [class prompt dim]; equal texts are allowed."""
    prompts = prompts_of(class_names, templates)
    embeddings = encode_texts(loaded, prompts)
    return embeddings.reshape(len(class_names), len(templates), -1)


def prompts_of(class_names: Sequence[str], templates: Sequence[str]) -> list[str]:
    """Return every class name in every template, the templates of a class together."""
    return [fill(template, name) for name in class_names for template in templates]


@torch.inference_mode()
def encode_texts(loaded: LoadedModel, texts: Sequence[str]) -> np.ndarray:
    """Return un-normalised text embeddings, float32 [text dim].

    That of a text does not depend on the others: texts of one length make batches of one size.
    """
    tokens = tokenizer(loaded)(list(texts))
    check_lengths(loaded, texts, tokens)
    device = next(loaded.clip.parameters()).device
    size = _GPU_BATCH if device.type == "cuda" else _CPU_BATCH
    places = _alike(loaded.clip, tokens, size)
    parts = []
    for batch in places:
        padded = batch.repeat(size)[:size]
        encoded = encode_cut_texts(loaded.clip, tokens[padded].to(device))
        parts.append(encoded[: len(batch)].float().cpu())
    embeddings = torch.cat(parts)
    return embeddings[torch.cat(places).argsort()].numpy()


def _alike(clip: Clip, tokens: torch.Tensor, size: int) -> list[torch.Tensor]:
    """Places in tokens `[text token]` of at most `size` texts that are cut alike, int64 [text]."""
    lengths = read_lengths(clip, tokens)
    if lengths is None:
        return list(torch.arange(len(tokens)).split(size))
    groups = [(lengths == length).nonzero()[:, 0] for length in lengths.unique()]
    return [batch for group in groups for batch in group.split(size)]


def context_length(loaded: LoadedModel) -> int:
    """Tokens of a text, as OpenCLIP's tokenizer of the model cuts and pads it."""
    # Not the model's own: a tower of transformers says how many it could take.
    return int(loaded.config["text_cfg"].get("context_length", _USUAL_LENGTH))


def check_lengths(loaded: LoadedModel, texts: Sequence[str], tokens: torch.Tensor) -> None:
    """Warn of texts that the context cuts, by their tokens, int64 [text token].

    Raises UsageError if that makes two of them equal.
    """
    # Where no padding is left over, a text just fits, or was cut.
    padding, place = _padding(loaded)
    full = tokens[:, place] != padding
    if not full.any():
        return
    first = texts[int(full.nonzero()[0])]
    logger.warning(
        "%d of %d texts fill the context of %d tokens of %s and may be cut, for instance %r",
        int(full.sum()),
        len(texts),
        tokens.shape[1],
        loaded.model,
        first,
    )
    cut = {text for text, is_full in zip(texts, full.tolist(), strict=True) if is_full}
    equal = len(cut) - len(torch.unique(tokens[full], dim=0))
    if equal:
        raise UsageError(
            f"{equal} texts become equal when cut to {tokens.shape[1]} tokens; use a shorter "
            "--template"
        )


def check_distinct(class_names: Sequence[str], tokens: torch.Tensor) -> None:
    """Raise UsageError for two classes of one token sequence: the first would win every tie.

    `tokens` are those of the prompts of the classes, int64 [class*prompt token]. Tokenizers drop
    case, repeated blanks and forms of a letter, some of them punctuation.
    """
    per_class = tokens.reshape(len(class_names), -1, tokens.shape[-1])
    first: dict[tuple[int, bytes], str] = {}
    for name, prompts in zip(class_names, per_class.numpy(), strict=True):
        for number, prompt in enumerate(prompts):
            same = first.setdefault((number, prompt.tobytes()), name)
            if same != name:
                raise UsageError(
                    f"classes {same[:80]!r} and {name[:80]!r} are the same tokens to this model, "
                    "so it cannot tell them apart; rename or merge one where the videos are "
                    "listed, and scan them as another --dataset"
                )


def default_templates(loaded: LoadedModel) -> tuple[str, ...]:
    """Return the templates that a checkpoint is scored with where none are asked for: those that
    it was trained with, if that is known."""
    usual = PROMPT_TEMPLATE if num_text_prompts(loaded.clip) else PAPER_TEMPLATE
    return loaded.identity.templates or (usual,)


def default_cleaning(loaded: LoadedModel) -> str:
    """Return the cleaning of class names likewise."""
    usual = PROMPT_CLEANING if num_text_prompts(loaded.clip) else AS_IS
    return loaded.identity.cleaning or usual


def tokenizer(loaded: LoadedModel) -> Callable[[list[str]], torch.Tensor]:
    """Return the model's own tokenizer: texts -> int64 [text token], cut at its context length.

    Where the model has text prompts, it puts the words in front that they take the place of.
    """
    own = _tokenizer_of(loaded)
    num_prompts = num_text_prompts(loaded.clip)
    return partial(_with_placeholders, own, num_prompts) if num_prompts else own


def _tokenizer_of(loaded: LoadedModel) -> Callable[[list[str]], torch.Tensor]:
    """OpenCLIP's tokenizer of a model. Raises TextTowerError if it cannot be had."""
    tower = getattr(loaded.clip, "text", None)
    if isinstance(tower, MissingText):
        raise TextTowerError(tower.why)
    try:
        with offline_if_unreachable() if _is_on_hub(loaded) else nullcontext():
            return _own_tokenizer(loaded.model, context_length(loaded))
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        raise TextTowerError(why_no_text(loaded.model, loaded.config)) from error


def _is_on_hub(loaded: LoadedModel) -> bool:
    return bool(loaded.config["text_cfg"].get("hf_tokenizer_name"))


def _padding(loaded: LoadedModel) -> tuple[int, int]:
    """The number that pads a text, and the place that has it unless the text fills its context."""
    text, own = loaded.config["text_cfg"], getattr(_tokenizer_of(loaded), "tokenizer", None)
    pad = getattr(own, "pad_token_id", None) or 0
    # One ends texts by what pads them, the other puts a class token behind the padding.
    is_last_taken = own is not None and pad == getattr(own, "eos_token_id", None)
    return pad, -2 if is_last_taken or text.get("tokenizer_mode") == "clips" else -1


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
