"""Text embeddings of a dataset's classes, made once and kept in the store."""

from collections.abc import Sequence

from vifistore.cleaning import AS_IS, cleaning, effective
from vifistore.errors import ModelError
from vifistore.models.text import encode_classes, text_fields
from vifistore.models.towers import RANDOM, LoadedModel, load_model
from vifistore.store.store import Store
from vifistore.store.texts import has_texts, texts_id, write_texts


def ensure_texts(
    store: Store,
    loaded: LoadedModel,
    class_names: Sequence[str],
    templates: Sequence[str],
    how: str = AS_IS,
) -> str:
    """Return the id of the text set of these classes; encode it if the store lacks it.

    `how` is the cleaning of the names in the prompts. Raises UsageError for a template without
    exactly one `{}`, and for names that become equal.
    """
    fields = text_fields(loaded, class_names, templates) | cleaning_field(class_names, how)
    if has_texts(store.backend, name := texts_id(fields)):
        return name
    words = [cleaning(how)(name) for name in class_names]
    return write_texts(store.backend, fields, encode_classes(loaded, words, templates))


def cleaning_field(class_names: Sequence[str], how: str) -> dict:
    """The field of a text set that says how its names are cleaned, where that changes any.

    Raises UsageError for names that become equal.
    """
    changed = effective(class_names, how)
    return {} if changed == AS_IS else {"cleaning": changed}


def dataset_class_lists(store: Store, dataset: str) -> list[list[str]]:
    """Every list of classes that the dataset's videos are scored against, each once."""
    lists = [store.class_names(dataset)]
    lists += [store.split(dataset, name).class_names for name in store.splits(dataset)]
    return [names for i, names in enumerate(lists) if names and names not in lists[:i]]


def reload_checkpoint(checkpoint: dict) -> LoadedModel:
    """Load the model of a checkpoint that the store knows, from where its weights last were.

    Raises ModelError if they are gone, or are not the same any more, or if the checkpoint is a
    head on another one.
    """
    if "head" in (checkpoint["settings"] or {}):
        raise ModelError(
            f"checkpoint {checkpoint['names'][0]} is a head trained on the frames of "
            f"{checkpoint['parent']} and has no towers of its own; use features of that checkpoint"
        )
    pretrained = checkpoint["weights_path"] or checkpoint["names"][0]
    loaded = load_model(checkpoint["model"], RANDOM if pretrained == "random" else pretrained)
    if loaded.text_digest != checkpoint["text_digest"]:
        raise ModelError(
            f"the weights at {pretrained} are not those of checkpoint {checkpoint['digest']} any "
            "more; give the right ones to vifi texts: --pretrained FILE"
        )
    return loaded
