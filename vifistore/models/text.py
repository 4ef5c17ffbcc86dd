"""Text embeddings of class names by a model's text tower."""

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import numpy as np
import torch

from vifistore.errors import ModelError, UsageError
from vifistore.models.prompts import num_text_prompts
from vifistore.models.towers import LoadedModel, open_clip
from vifistore.models.wording import check_templates

# The paper's template for fine-tuned models (section 3; its code, datasets/labels).
PAPER_TEMPLATE = "a photo of a {}."
# Vanilla CLIP is scored with the bare class name there.
BARE_TEMPLATE = "{}"
# Learned text prompts stand for the words around the name; the paper's code ends them with a stop.
PROMPT_TEMPLATE = "{}."

# One token of OpenCLIP's vocabulary, for the words that text prompts take the place of.
_PLACEHOLDER = "X"

_BATCH = 256

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
        "context_length": int(loaded.clip.context_length),
        "precision": "fp32",
    }


@torch.inference_mode()
def encode_classes(
    loaded: LoadedModel, class_names: Sequence[str], templates: Sequence[str]
) -> np.ndarray:
    """Return un-normalised text embeddings, float32 [class prompt dim]."""
    prompts = [fill(template, name) for name in class_names for template in templates]
    embeddings = encode_texts(loaded, prompts)
    return embeddings.reshape(len(class_names), len(templates), -1)


@torch.inference_mode()
def encode_texts(loaded: LoadedModel, texts: Sequence[str]) -> np.ndarray:
    """Return un-normalised text embeddings, float32 [text dim]."""
    tokens = tokenizer(loaded)(list(texts))
    check_lengths(loaded, texts, tokens)
    device = next(loaded.clip.parameters()).device
    parts = [
        loaded.clip.encode_text(batch.to(device)).float().cpu() for batch in tokens.split(_BATCH)
    ]
    return torch.cat(parts).numpy()


def fill(template: str, class_name: str) -> str:
    """Return the prompt of a class; the name may hold braces."""
    return template.replace("{}", class_name)


def check_lengths(loaded: LoadedModel, texts: Sequence[str], tokens: torch.Tensor) -> None:
    """Warn of texts that the context cuts. Raises UsageError if that makes two of them equal."""
    # Zero pads, so a last token that is not zero means that nothing was left over, or was cut.
    full = tokens[:, -1] != 0
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
    distinct = len(torch.unique(tokens, dim=0))
    if distinct < len(set(texts)):
        raise UsageError(
            f"{len(set(texts)) - distinct} texts become equal when cut to {tokens.shape[1]} "
            "tokens; use a shorter --template"
        )


def default_templates(loaded: LoadedModel) -> tuple[str, ...]:
    """Return the templates that a checkpoint is scored with where none are asked for."""
    return (PROMPT_TEMPLATE if num_text_prompts(loaded.clip) else PAPER_TEMPLATE,)


def tokenizer(loaded: LoadedModel) -> Callable[[Sequence[str]], torch.Tensor]:
    """Return the model's own tokenizer: texts -> int64 [text token], cut at its context length.

    Where the model has text prompts, it puts the words in front that they take the place of.
    """
    own = _own_tokenizer(loaded.model, int(loaded.clip.context_length))
    num_prompts = num_text_prompts(loaded.clip)
    return partial(_with_placeholders, own, num_prompts) if num_prompts else own


@lru_cache(maxsize=4)
def _own_tokenizer(model: str, context_length: int) -> Callable[[Sequence[str]], torch.Tensor]:
    # Reading its vocabulary takes a good part of a second.
    return open_clip.get_tokenizer(model, context_length=context_length)


def _with_placeholders(
    own: Callable[[Sequence[str]], torch.Tensor], num_prompts: int, texts: Sequence[str]
) -> torch.Tensor:
    words = " ".join([_PLACEHOLDER] * num_prompts)
    tokens = own([f"{words} {text}" for text in texts])
    if len(tokens[:, 1 : 1 + num_prompts].unique()) > 1:
        raise ModelError(
            f"the tokenizer does not read {_PLACEHOLDER!r} as one token, so text prompts have no "
            "place; use a model with OpenCLIP's own tokenizer, such as ViT-B-16-quickgelu"
        )
    return tokens
