"""Text embeddings of class names by a model's text tower."""

from collections.abc import Sequence

import numpy as np
import torch

from vifistore.errors import UsageError
from vifistore.models.towers import LoadedModel, open_clip

# The paper's template for fine-tuned models (section 3; its code, datasets/labels).
PAPER_TEMPLATE = "a photo of a {}."
# Vanilla CLIP is scored with the bare class name there.
BARE_TEMPLATE = "{}"

_BATCH = 256


def text_fields(loaded: LoadedModel, class_names: Sequence[str], templates: Sequence[str]) -> dict:
    """Return all that decides the text embeddings, as the store keeps it.

    Raises UsageError for a template without exactly one `{}`.
    """
    for template in templates:
        if template.count("{}") != 1 or "{" in template.replace("{}", ""):
            raise UsageError(f"template {template!r} must hold exactly one {{}} for the class name")
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
    prompts = [template.format(name) for name in class_names for template in templates]
    embeddings = encode_texts(loaded, prompts)
    return embeddings.reshape(len(class_names), len(templates), -1)


@torch.inference_mode()
def encode_texts(loaded: LoadedModel, texts: Sequence[str]) -> np.ndarray:
    """Return un-normalised text embeddings, float32 [text dim]."""
    tokens = tokenizer(loaded)(list(texts))
    device = next(loaded.clip.parameters()).device
    parts = [
        loaded.clip.encode_text(batch.to(device)).float().cpu() for batch in tokens.split(_BATCH)
    ]
    return torch.cat(parts).numpy()


def tokenizer(loaded: LoadedModel):
    """Return the model's own tokenizer, cutting at its context length."""
    return open_clip.get_tokenizer(loaded.model, context_length=int(loaded.clip.context_length))
