"""What the views of a head are compared with: text sets, under the head's own identity.

A5           bare class names between learned vectors; every softmax has the scale 1 / 0.07
ActionCLIP   16 templates, embeddings averaged at unit length; scale 100, as in its test.py,
             which averages the probabilities of the templates instead
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from vifistore.errors import ModelError, UsageError
from vifistore.extract.class_texts import reload_checkpoint
from vifistore.models.actionclip.action_texts import ACTIONCLIP_SCALE, ACTIONCLIP_TEMPLATES
from vifistore.models.openclip_model import OpenClipModel, require_openclip
from vifistore.models.text_embedding import check_distinct, encode_classes, text_fields
from vifistore.models.wording import BARE_TEMPLATE
from vifistore.store.logit_bias import LOGIT_BIAS
from vifistore.store.store import Store
from vifistore.store.texts import texts_id
from vifistore.training.heads.a5_prompts import check_room, check_text_tower, tokenise_names
from vifistore.training.heads.head_files import Head, load_head

A5_SCALE = 1 / 0.07


def head_templates(prompts: object | None) -> tuple[str, ...]:
    """The templates of the texts that views are compared with: bare names between learned prompts,
    or ActionCLIP's where there are none."""
    return ACTIONCLIP_TEMPLATES if prompts is None else (BARE_TEMPLATE,)


def logit_scale(head: Head) -> float:
    """What multiplies the cosine in every softmax of a head."""
    return A5_SCALE if head.prompts else ACTIONCLIP_SCALE


@torch.inference_mode()
def encode_for_head(head: Head, loaded: OpenClipModel, class_names: Sequence[str]) -> np.ndarray:
    """Text embeddings of class names, float32 [class prompt dim], un-normalised.

    Raises UsageError for a name that leaves no room for the learned vectors, and for two classes
    that the model cannot tell apart.
    """
    names = tokenise_names(loaded, class_names)
    check_distinct(class_names, names)
    if head.prompts is None:
        return encode_classes(loaded, class_names, ACTIONCLIP_TEMPLATES)
    check_text_tower(loaded)
    check_room(names, head.prompts.num_each_side)
    device = next(loaded.clip.parameters()).device
    head.prompts.to(device)
    embedded = head.prompts(loaded.clip, names.to(device))
    return embedded.float().cpu().numpy()[:, None]


def ensure_head_texts(
    store: Store, head: Head, loaded: OpenClipModel, class_names: Sequence[str]
) -> str:
    """Return the id of a head's text set of these classes; encode it if the store lacks it."""
    fields = text_fields(loaded, class_names, head_templates(head.prompts))
    fields |= {"text_digest": head.text_digest, "logit_scale": logit_scale(head)}
    # Heads are trained by a softmax, whatever their tower was.
    fields.pop(LOGIT_BIAS, None)
    if store.has_texts(name := texts_id(fields)):
        return name
    return store.add_texts(fields, encode_for_head(head, loaded, class_names))


def texts_of_checkpoint(
    store: Store, checkpoint: dict, class_names: Sequence[str], templates: Sequence[str] = ()
) -> str:
    """Return the id of the text set of these classes by a checkpoint that is a head.

    Raises ModelError if the head or the model it was trained on is gone, or is another by now;
    UsageError for templates other than the head's own.
    """
    head = head_of_checkpoint(checkpoint)
    own = head_templates(head.prompts)
    if templates and tuple(templates) != own:
        raise UsageError(
            f"a head is scored with the texts it was trained against ({len(own)} "
            "of its own); leave out --template"
        )
    parent = reload_checkpoint(store.checkpoint(checkpoint["parent"]))
    loaded = require_openclip(parent, "heads are trained on frames of")
    return ensure_head_texts(store, head, loaded, class_names)


def head_of_checkpoint(checkpoint: dict) -> Head:
    """Load the head of a checkpoint that is one. Raises ModelError if it is gone or another."""
    head = load_head(Path(checkpoint["weights_path"]))
    if head.text_digest != checkpoint["text_digest"]:
        raise ModelError(
            f"the head at {checkpoint['weights_path']} is not that of checkpoint "
            f"{checkpoint['digest']} any more; train it again"
        )
    return head
