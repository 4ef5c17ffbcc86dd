"""How the words of a query become an embedding, for every kind of checkpoint a store may hold."""

from vifistore.extract.queries import TextEncoder, text_encoder
from vifistore.store.store import Store


def query_encoder(store: Store, checkpoint: dict) -> TextEncoder:
    """A function from texts to un-normalised embeddings, float32 [text dim].

    A head that was trained against the texts of a tower is asked in that tower's words, one with
    learned prompts in its own. Raises ModelError if weights are gone, or are not the same any more.
    """
    cache = store.backend.cache_folder
    if "head" not in (checkpoint["settings"] or {}):
        return text_encoder(cache, checkpoint)
    parent = store.checkpoint(checkpoint["parent"])
    if checkpoint["text_digest"] == parent["text_digest"]:
        return text_encoder(cache, parent)
    return _head_encoder(checkpoint, parent)


def _head_encoder(checkpoint: dict, parent: dict) -> TextEncoder:
    from vifistore.extract.texts import reload_checkpoint
    from vifistore.training.heads.texts import encode_for_head, head_of_checkpoint

    head = head_of_checkpoint(checkpoint)
    loaded = reload_checkpoint(parent)
    return lambda texts: encode_for_head(head, loaded, texts)[:, 0]
