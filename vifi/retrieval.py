"""The retrieval protocol of `vifi evaluate`: captions and class names become text embeddings."""

from dataclasses import replace

from harness.measuring import Scoring
from harness.results import ResultRow
from harness.retrieval.evaluation import (
    CAPTION_TEMPLATE,
    caption_texts,
    is_labelled,
    retrieval,
)
from harness.scoring import checkpoint_of
from vifi.scoring import choose_texts
from vifistore.store import open_store
from vifistore.store.store import Store


def retrieval_rows(
    store: Store,
    dataset: str,
    features: str,
    split: str,
    settings: Scoring,
) -> list[ResultRow]:
    """Rows of the retrieval protocol; texts that the store lacks are encoded first."""
    captions = caption_texts(store, dataset)
    if captions:
        _ensure_captions(store, dataset, features, captions)
    texts = ""
    if is_labelled(store, dataset, split):
        prompts = (settings.templates, settings.cleaning)
        texts = choose_texts(store, dataset, features, split, *prompts)
    return retrieval(store, dataset, features, split, replace(settings, texts=texts))


def _ensure_captions(store: Store, dataset: str, features: str, captions: list[str]) -> None:
    checkpoint = checkpoint_of(store, store.features(dataset, features))
    wanted = {
        "text_digest": checkpoint["text_digest"],
        "logit_scale": checkpoint["logit_scale"],
        "class_names": captions,
        "templates": [CAPTION_TEMPLATE],
    }
    if store.find_texts(**wanted):
        return

    from vifistore.extract.texts import ensure_texts, reload_checkpoint

    writable = open_store(store.path, mode="a")
    loaded = reload_checkpoint(checkpoint)
    ensure_texts(writable, loaded, captions, (CAPTION_TEMPLATE,), are_classes=False)
