"""Text embeddings of class names by an encoder's text side."""

from collections.abc import Sequence

import numpy as np
import torch

from vifistore.errors import UsageError
from vifistore.models.encoders import LoadedModel
from vifistore.models.wording import check_templates, fill
from vifistore.store.texts import fields_of


def text_fields(loaded: LoadedModel, class_names: Sequence[str], templates: Sequence[str]) -> dict:
    """Return all that decides the text embeddings, as the store keeps it.

    Raises UsageError for a template without exactly one `{}`.
    """
    check_templates(templates)
    return fields_of(loaded.record(), class_names, templates, loaded.text_side.context_length)


def encode_classes(
    loaded: LoadedModel, class_names: Sequence[str], templates: Sequence[str]
) -> np.ndarray:
    """Return un-normalised text embeddings, float32 [class prompt dim]; equal texts are allowed."""
    embeddings = loaded.text_side.encode(prompts_of(class_names, templates))
    return embeddings.reshape(len(class_names), len(templates), -1)


def prompts_of(class_names: Sequence[str], templates: Sequence[str]) -> list[str]:
    """Return every class name in every template, the templates of a class together."""
    return [fill(template, name) for name in class_names for template in templates]


def check_distinct(class_names: Sequence[str], tokens: torch.Tensor) -> None:
    """Raise UsageError for two classes of one token sequence: the first would win every tie.

    `tokens` are those of the prompts of the classes, int64 [class*prompt token], or, where these
    are not known, their embeddings. Tokenizers drop case, repeated blanks and forms of a letter,
    some of them punctuation.
    """
    per_class = tokens.reshape(len(class_names), -1, tokens.shape[-1])
    first: dict[tuple[int, bytes], str] = {}
    for name, prompts in zip(class_names, per_class.numpy(), strict=True):
        for number, prompt in enumerate(prompts):
            same = first.setdefault((number, prompt.tobytes()), name)
            if same != name:
                raise UsageError(
                    f"classes {same[:80]!r} and {name[:80]!r} are read as the same by this model, "
                    "so it cannot tell them apart; rename or merge one where the videos are "
                    "listed, and scan them as another --dataset"
                )


def default_templates(loaded: LoadedModel) -> tuple[str, ...]:
    """Return the templates that a checkpoint is scored with where none are asked for: those that
    it was trained with, if that is known."""
    return loaded.identity.templates or (loaded.text_side.template,)


def default_cleaning(loaded: LoadedModel) -> str:
    """Return the cleaning of class names likewise."""
    return loaded.identity.cleaning or loaded.text_side.cleaning
