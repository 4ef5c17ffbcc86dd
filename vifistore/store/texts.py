"""Text embeddings of class names, kept under the digest of all that made them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vifistore.errors import UnknownNameError
from vifistore.store.described import DESCRIPTIONS
from vifistore.store.logit_bias import LOGIT_BIAS, bias_field, bias_kind
from vifistore.store.recipe import digest_of
from vifistore.store.schema import TEXT_EMBEDDINGS
from vifistore.store.zarr_format.attributes import require_fields
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.coding import encode_chunk
from vifistore.store.zarr_format.column_digests import FIELD, digests, require_digests
from vifistore.store.zarr_format.layout import Layout, parse_layout
from vifistore.store.zarr_format.metadata import array_file, group_files, metadata_key

TEXT_FIELDS = (
    "text_digest",
    "logit_scale",
    "class_names",
    "templates",
    "context_length",
    "precision",
)
# Fields of some sets alone; those without keep their ids. A cleaning of the names in the prompts,
# where it changes any; a bias, where a sigmoid makes probabilities of cosines; texts of each class,
# where they are no templates of its name.
_FURTHER_FIELDS = ("cleaning", LOGIT_BIAS, DESCRIPTIONS)

_FOLDER, _ARRAY = "texts", "embeddings"
TEXT_SPECS = {_ARRAY: TEXT_EMBEDDINGS}

_KINDS = {
    "text_digest": str,
    "logit_scale": (int, float),
    "class_names": list,
    "templates": list,
}


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Text embeddings of a list of classes by one text tower."""

    id: str
    embeddings: np.ndarray
    """float32 [class prompt dim], un-normalised."""
    attrs: dict
    """The fields of TEXT_FIELDS, `cleaning` where one changed the names in the prompts,
    `descriptions` where classes have texts of their own, and `logit_bias` where there is one:
    `logit_scale` multiplies cosines in a softmax, and in a sigmoid to which the bias is added."""

    def __repr__(self) -> str:
        """Its id, and how many classes and prompts it holds."""
        classes, prompts, dim = self.embeddings.shape
        return f"<Texts {self.id}: {classes} classes, {prompts} prompts each, {dim} dimensions>"


def fields_of(
    checkpoint: Mapping, class_names: Sequence[str], templates: Sequence[str], context_length: int
) -> dict:
    """Fields of the text set of class names, as they are in prompts, by a checkpoint's record."""
    return {
        "text_digest": checkpoint["text_digest"],
        "logit_scale": checkpoint["logit_scale"],
        "class_names": list(class_names),
        "templates": list(templates),
        "context_length": context_length,
        "precision": "fp32",
        **bias_field(checkpoint.get(LOGIT_BIAS)),
    }


def texts_id(fields: Mapping) -> str:
    """Return the id of a text set: the digest of its TEXT_FIELDS, and of its cleaning, its logit
    bias and its descriptions where it has them."""
    return digest_of(_decisive(fields))[:12]


def _decisive(fields: Mapping) -> dict:
    further = (key for key in _FURTHER_FIELDS if key in fields)
    return {key: fields[key] for key in (*TEXT_FIELDS, *further)}


def write_texts(backend: Backend, fields: Mapping, embeddings: np.ndarray) -> str:
    """Write text embeddings [class prompt dim] made as `fields` say; return their id."""
    name = texts_id(fields)
    path = f"{_FOLDER}/{name}"
    if LOGIT_BIAS in fields or DESCRIPTIONS in fields:
        backend.require_schema(2)
    if not has_texts(backend, name):
        # Held throughout: embeddings without attributes are what a stopped run has left.
        with backend.place.writing():
            _write(backend, path, fields, embeddings)
    return name


def _write(backend: Backend, path: str, fields: Mapping, embeddings: np.ndarray) -> None:
    array, shape = f"{path}/{_ARRAY}", embeddings.shape
    metadata = array_file(TEXT_EMBEDDINGS, shape, shape)
    layout = parse_layout(json.loads(metadata[0]))
    assert isinstance(layout, Layout), "it is ours"
    chunk = encode_chunk(embeddings, layout)
    kept = digests({_ARRAY: embeddings}, TEXT_SPECS, {})
    # All in one call, so that a run which is short of memory has written nothing. The group comes
    # last: a text set is there when its attributes are.
    stages = (
        {} if backend.exists(_FOLDER) else backend.group_files(_FOLDER, {}),
        {metadata_key(array): metadata, (key := layout.key(array, 0)): chunk},
        group_files({path: {**_decisive(fields), FIELD: kept}}),
    )
    backend.put(*stages)
    # Another machine may have written them at once, and round otherwise: its numbers must not stay
    # below the digest of these, nor these below its own.
    while (backend.tail(key, len(chunk[1])) == chunk[1]) != (
        backend.attributes(path).get(FIELD) == kept
    ):
        backend.put(*stages)


def has_texts(backend: Backend, name: str) -> bool:
    """Whether there is a text set of that id; one whose writing was cut short does not count."""
    path = f"texts/{name}"
    return backend.exists(path) and _is_whole(backend.attributes(path))


def _is_whole(attributes: Mapping) -> bool:
    return set(TEXT_FIELDS) <= attributes.keys()


def read_texts(backend: Backend, name: str) -> Texts:
    """Read a text set by its id.

    Raises UnknownNameError naming those there are, DamagedError if it is not what was written.
    """
    known = backend.children("texts")
    if name not in known or not has_texts(backend, name):
        raise UnknownNameError("text set", name, known)
    path = f"texts/{name}"
    embeddings = backend.read(f"{path}/{_ARRAY}", may_lack=False)
    attributes = _read_fields(backend, path, backend.attributes(path))
    require_digests(backend, path, {_ARRAY: embeddings}, TEXT_SPECS, attributes)
    return Texts(id=name, embeddings=embeddings, attrs=_without_digests(attributes))


def _without_digests(attributes: Mapping) -> dict:
    return {key: value for key, value in attributes.items() if key != FIELD}


def list_texts(backend: Backend) -> Iterator[dict]:
    """Attributes of every text set, with its `id`; no embeddings are read."""
    for name in backend.children("texts"):
        path = f"texts/{name}"
        if _is_whole(found := backend.attributes(path)):
            yield {"id": name, **_without_digests(_read_fields(backend, path, found))}


def _read_fields(backend: Backend, path: str, found: dict) -> dict:
    further = {DESCRIPTIONS: list} if DESCRIPTIONS in found else {}
    return require_fields(backend, path, found, _KINDS | further | bias_kind(found))
