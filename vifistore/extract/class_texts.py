"""Text embeddings of a dataset's classes, made once and kept in the store."""

from collections.abc import Sequence
from pathlib import Path

import torch

from vifistore.cleaning import AS_IS, cleaning, cleaning_field
from vifistore.errors import ModelError, short
from vifistore.models.checkpoint_files import read_header
from vifistore.models.encoders import LoadedModel
from vifistore.models.load_settings import WeightsSettings
from vifistore.models.plugins.plugin_names import find_entry, require_allowed
from vifistore.models.registry import model_config
from vifistore.models.skeletons import image_size_of
from vifistore.models.text_embedding import (
    check_distinct,
    encode_classes,
    prompts_of,
    text_fields,
)
from vifistore.models.towers import load_model
from vifistore.models.wording import BARE_TEMPLATE
from vifistore.store.checkpoints import pretrained_of
from vifistore.store.dataset import Dataset
from vifistore.store.described import Descriptions, described_fields, padded, texts_in_order
from vifistore.store.logit_bias import LOGIT_BIAS
from vifistore.store.store import Store
from vifistore.store.texts import texts_id


def ensure_texts(
    store: Store,
    loaded: LoadedModel,
    class_names: Sequence[str],
    templates: Sequence[str],
    how: str = AS_IS,
    *,
    are_classes: bool = True,
) -> str:
    """Return the id of the text set of these classes; encode it if the store lacks it.

    `how` is the cleaning of the names in the prompts. Captions are no classes: several may be
    equal. Raises UsageError for a template without exactly one `{}`, for names that become equal,
    and for two classes that the model cannot tell apart.
    """
    fields = text_fields(loaded, class_names, templates) | cleaning_field(class_names, how)
    if store.has_texts(name := texts_id(fields)):
        return name
    words = [cleaning(how)(name) for name in class_names]
    tokens = loaded.text_side.tokens(prompts_of(words, templates)) if are_classes else None
    if tokens is not None:
        check_distinct(class_names, tokens)
    embeddings = encode_classes(loaded, words, templates)
    if are_classes and tokens is None:
        check_distinct(class_names, torch.from_numpy(embeddings))
    return store.add_texts(fields, embeddings)


def ensure_descriptions(
    store: Store, loaded: LoadedModel, class_names: Sequence[str], descriptions: Descriptions
) -> str:
    """Return the id of the text set of what these classes are described by; encode it if the store
    lacks it. Raises UsageError for a class without texts, and for two with the same ones."""
    texts = texts_in_order(class_names, descriptions)
    fields = described_fields(text_fields(loaded, class_names, (BARE_TEMPLATE,)), texts)
    if store.has_texts(name := texts_id(fields)):
        return name
    embeddings = loaded.text_side.encode([text for of_class in texts for text in of_class])
    return store.add_texts(fields, padded(embeddings, texts))


def dataset_class_lists(dataset: Dataset) -> list[list[str]]:
    """Every list of classes that the dataset's videos are scored against, each once."""
    lists = [dataset.class_names()]
    lists += [dataset.split(name).class_names for name in dataset.splits()]
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
    require_allowed(checkpoint["model"])
    pretrained = pretrained_of(checkpoint)
    loaded = load_model(checkpoint["model"], pretrained, weights=_weights_of(checkpoint))
    if loaded.text_digest != checkpoint["text_digest"]:
        raise ModelError(_not_the_same(checkpoint, pretrained))
    # As it was recorded: before sigmoids, and the scale of ActionCLIP's mean, were read of a file.
    loaded.logit_scale, loaded.logit_bias = checkpoint["logit_scale"], checkpoint.get(LOGIT_BIAS)
    return loaded


def _not_the_same(checkpoint: dict, pretrained: str) -> str:
    """What to do where a model is not that of a checkpoint any more."""
    model, digest = checkpoint["model"], checkpoint["digest"]
    if find_entry(model):
        return (
            f"the encoder {short(model, 80)} is not that of checkpoint {digest} any more: its "
            "version, code or weights are others; install what it was, or encode the videos by "
            "what it is with vifi extract"
        )
    return (
        f"the weights at {pretrained} are not those of checkpoint {digest} any more; give the "
        "right ones to vifi texts: --pretrained FILE"
    )


def _weights_of(checkpoint: dict) -> WeightsSettings:
    """Which weights of its file a checkpoint has, and for pictures of which size."""
    vision, settings = checkpoint["config"].get("vision_cfg", {}), checkpoint["settings"] or {}
    size = vision.get("image_size") if isinstance(vision, dict) else None
    # One of ours that was made of an average holds nothing else.
    is_of_others = read_header(Path(checkpoint["weights_path"] or "")) is None
    image_size = 0
    if type(size) is int and size != image_size_of(model_config(checkpoint["model"])):
        image_size = size
    ema = is_of_others and settings.get("weights") == "ema"
    return WeightsSettings(image_size=image_size, ema_weights=ema)
