"""How the words of a query become an embedding, for every kind of checkpoint a store may hold."""

from collections.abc import Sequence

from harness.followed_texts import follow_videos
from harness.fusion import class_vectors
from vifi.searching.query_encoders import TextEncoder, text_encoder
from vifistore.errors import UsageError
from vifistore.models.wording import BARE_TEMPLATE, fill
from vifistore.store.checkpoints import trained_with
from vifistore.store.store import Store


def query_encoder(store: Store, checkpoint: dict, templates: Sequence[str] = ()) -> TextEncoder:
    """A function from texts to embeddings, float32 [text dim], as prompts of these templates.

    Without any they are those that the checkpoint was trained with, and where that is not known
    texts are as they were typed. A head that was trained against the texts of a tower is asked in
    that tower's words, one with learned prompts in its own. Raises ModelError if weights are gone,
    or are not the same any more.
    """
    templates = tuple(templates) or query_templates(checkpoint)
    encode = _encoder(store, checkpoint)
    if templates == (BARE_TEMPLATE,):
        return encode
    return lambda texts: class_vectors(
        encode([fill(template, text) for text in texts for template in templates]).reshape(
            len(texts), len(templates), -1
        )
    )


def query_templates(checkpoint: dict) -> tuple[str, ...]:
    """What a query in words is put into, unless another is asked for."""
    return trained_with(checkpoint).templates or (BARE_TEMPLATE,)


def _encoder(store: Store, checkpoint: dict) -> TextEncoder:
    cache = store.cache_folder
    if follow_videos(checkpoint):
        raise UsageError(
            f"the texts of {checkpoint['names'][0]} follow each video and have no embedding to "
            "search by; score classes with vifi evaluate, or search with --like"
        )
    if "head" not in (checkpoint["settings"] or {}):
        return text_encoder(cache, checkpoint)
    parent = store.checkpoint(checkpoint["parent"])
    if checkpoint["text_digest"] == parent["text_digest"]:
        return text_encoder(cache, parent)
    return _head_encoder(checkpoint, parent)


def _head_encoder(checkpoint: dict, parent: dict) -> TextEncoder:
    from vifistore.extract.class_texts import reload_checkpoint
    from vifistore.models.openclip_model import require_openclip
    from vifistore.training.heads.head_texts import encode_for_head, head_of_checkpoint

    head = head_of_checkpoint(checkpoint)
    loaded = require_openclip(reload_checkpoint(parent), "heads are trained on frames of")
    return lambda texts: encode_for_head(head, loaded, texts)[:, 0]
