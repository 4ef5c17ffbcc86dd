"""Text embeddings of labels: those of the store, or encoded here, without torch where that goes."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from harness.followed_texts import follow_videos
from harness.labelling import check_apart
from harness.scoring import Classes, checkpoint_of, classes_of, load_classes
from vifi.scoring.scored_rows import encode_texts, followed_texts_of, texts_of_names
from vifi.searching.query_encoders import plain_text_tower
from vifistore.cleaning import AS_IS, cleaning, cleaning_field
from vifistore.errors import first_line, short
from vifistore.models.wording import PAPER_TEMPLATE, fill
from vifistore.store import open_store
from vifistore.store.features import Features
from vifistore.store.store import Store
from vifistore.store.texts import Texts, fields_of, texts_id

logger = logging.getLogger("vifi")


class HeldTexts(Store):
    """A store that holds the texts which it is given in memory, and writes nothing."""

    held: Texts | None = None

    def add_texts(self, fields: Mapping, embeddings: np.ndarray) -> str:
        """Hold text embeddings [class prompt dim] made as `fields` say; return their id."""
        self.held = Texts(id=texts_id(fields), embeddings=embeddings, attrs=dict(fields))
        return self.held.id


def label_classes(
    features: Features, labels: Sequence[str], templates: Sequence[str] = (), how: str = ""
) -> Classes:
    """The vectors of labels, by the text tower of the features' checkpoint.

    Templates and cleaning that are not given are those that the checkpoint was trained with, else
    `a photo of a {}.` and names as they are. Texts that the store lacks are encoded and, if it can
    be written, kept. Raises UsageError for a set without a text tower and for labels that are one
    when cleaned or to the model, ModelError if the checkpoint's weights are gone.
    """
    if follow_videos(checkpoint_of(features)):
        chosen = followed_texts_of(features, labels, templates, how)
        return load_classes(features, labels, chosen)
    holder = HeldTexts(features.store.backend)
    chosen = texts_of_names(features, labels, templates, how, partial(_encode, holder))
    if holder.held is None:
        classes = load_classes(features, labels, chosen)
    else:
        classes = classes_of(features, holder.held, labels)
        check_apart(labels, classes.vectors)
        _keep(features.store, holder.held)
    _tell(labels, classes)
    return classes


def _tell(labels: Sequence[str], classes: Classes) -> None:
    prompt = fill(classes.templates[0], cleaning(classes.cleaning)(labels[0]))
    others = len(classes.templates) - 1
    more = f" and in {others} other templates" if others else ""
    logger.info("labels are asked as “%s”%s; --template asks otherwise", short(prompt), more)


def _encode(
    holder: HeldTexts,
    _: Store,
    checkpoint: dict,
    labels: Sequence[str],
    templates: Sequence[str],
    how: str,
) -> str:
    """Give a text set of labels to the holder, and return its id."""
    is_head = "head" in (checkpoint["settings"] or {})
    tower = None if is_head else plain_text_tower(holder.cache_folder, checkpoint)
    if tower is None:
        return encode_texts(holder, checkpoint, labels, templates, how)
    how, templates = how or AS_IS, tuple(templates) or (PAPER_TEMPLATE,)
    words = [cleaning(how)(label) for label in labels]
    fields = fields_of(checkpoint, labels, templates, tower.context_length)
    fields |= cleaning_field(labels, how)
    encoded = tower.encode([fill(template, word) for word in words for template in templates])
    return holder.add_texts(fields, encoded.reshape(len(labels), len(templates), -1))


def _keep(store: Store, texts: Texts) -> None:
    """Keep texts in a store that can be written; they are as good where it cannot."""
    try:
        open_store(store.path, mode="a").add_texts(texts.attrs, texts.embeddings)
    except OSError as error:
        logger.info("texts of these labels are not kept in the store: %s", first_line(error, 200))
