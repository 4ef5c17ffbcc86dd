"""Checkpoints of the store: what a model was, and what it came from. Written once each.

The digests of the videos that it was tuned on are megabytes, and few who open a store ask for
them: they lie in a small group of their own, `checkpoints/<digest>/tuned_on`.
"""

import logging
from collections.abc import Mapping

from vifistore.errors import DamagedError, UnknownNameError, UsageError, short
from vifistore.store.as_trained import contradictions
from vifistore.store.dataset import Dataset
from vifistore.store.identity import Identity, of_settings, parse_identity
from vifistore.store.logit_bias import LOGIT_BIAS, bias_field, bias_kind
from vifistore.store.recipe import digest_of
from vifistore.store.schema import check_name
from vifistore.store.zarr_format.attributes import NONE, read_fields, require_fields
from vifistore.store.zarr_format.backend import Backend

_KINDS = {
    "names": list,
    "model": str,
    "config": dict,
    "weights_path": (str, NONE),
    "image_digest": str,
    "text_digest": str,
    "logit_scale": (int, float),
    "parent": str,
    "step": int,
    "settings": (dict, NONE),
}
_TUNED_ON = "tuned_on"

logger = logging.getLogger("vifi")


def checkpoint_digest(
    image_digest: str, text_digest: str, logit_scale: float, logit_bias: float | None = None
) -> str:
    """Return the digest that names a checkpoint: its two towers, its logit scale, and its logit
    bias where it has one."""
    towers = {"image": image_digest, "text": text_digest, "logit_scale": logit_scale}
    return digest_of({**towers, **bias_field(logit_bias)})[:12]


def digest_of_record(checkpoint: Mapping) -> str:
    """The digest of a checkpoint whose fields are given."""
    image_digest, text_digest = checkpoint["image_digest"], checkpoint["text_digest"]
    scale, bias = checkpoint["logit_scale"], checkpoint.get(LOGIT_BIAS)
    return checkpoint_digest(image_digest, text_digest, scale, bias)


def register_checkpoint(
    backend: Backend, checkpoint: Mapping, identity: Identity | None = None
) -> str:
    """Record a checkpoint (see `read_checkpoint` for its fields) and return its digest.

    A digest that is there already keeps its record, but for what the identity knows beyond it:
    equal weights may come with a header and without. Each name is also a small group of its own
    below it: where two processes record one checkpoint at once, the last record stays, and both
    names do.
    """
    digest = digest_of_record(checkpoint)
    path = f"checkpoints/{digest}"
    name = check_name("checkpoint", checkpoint["name"])
    identity = identity or Identity()
    if not backend.exists(path):
        if LOGIT_BIAS in checkpoint:
            backend.require_schema(2)
        fields = {key: value for key, value in checkpoint.items() if key != "name"}
        _write(backend, digest, {**fields, "names": [name]}, identity)
        backend.make_group(f"{path}/names/{name}", {})
        return digest
    known = read_identity(backend, digest)
    if differing := contradictions(known, identity):
        logger.warning(
            "%s is in the store as trained with another %s than its file says now; rows and texts "
            "keep to what was said first",
            *(short(name), ", ".join(differing)),
        )
    if (complete := known.completed(identity)) != known:
        attributes = read_fields(backend, path, _KINDS)
        of_identity = Identity().as_json().keys() | known.as_json().keys()
        kept = {key: value for key, value in attributes.items() if key not in of_identity}
        _write(backend, digest, kept, complete)
    if name not in read_checkpoint(backend, digest)["names"]:
        backend.make_group(f"{path}/names/{name}", {})
    return digest


def _write(backend: Backend, digest: str, fields: Mapping, identity: Identity) -> None:
    """Write the record and, before it, the digests of the videos that it speaks of."""
    path = f"checkpoints/{digest}"
    told, first = identity.as_json(), {}
    if entries := told.get(_TUNED_ON):
        inner = f"{path}/{_TUNED_ON}"
        files = backend.group_files(inner, {"entries": entries})
        # Not its parents: a record is there when all of it is.
        first = {key: content for key, content in files.items() if key.startswith(inner)}
        told[_TUNED_ON] = [entry.summary for entry in identity.tuned_on]
    backend.put(first, backend.group_files(path, {**fields, **told}))


def pretrained_of(checkpoint: Mapping) -> str:
    """What `--pretrained` says for the weights of a record: a file, else the tag that it is called
    by; nothing of an encoder of another package that was given nothing."""
    path, config = checkpoint["weights_path"] or "", checkpoint["config"] or {}
    if path or "encoder" in config:
        return path
    name = checkpoint["names"][0]
    return "none" if name == "random" else name


def read_checkpoint(backend: Backend, digest: str) -> dict:
    """Read a checkpoint: names, model, config, weights_path, image_digest, text_digest,
    logit_scale, logit_bias where it has one, parent, step, settings, and what is known of its
    identity (see `vifistore.store.identity`), each entry of `tuned_on` by its summary.

    Raises UnknownNameError naming those there are.
    """
    if digest not in (known := backend.children("checkpoints")):
        raise UnknownNameError("checkpoint", digest, known)
    return _read(backend, digest)


def _read(backend: Backend, digest: str) -> dict:
    path = f"checkpoints/{digest}"
    attributes = read_fields(backend, path, _KINDS)
    require_fields(backend, path, attributes, bias_kind(attributes))
    further = backend.children(f"checkpoints/{digest}/names")
    names = list(dict.fromkeys([*attributes["names"], *further]))
    return {**attributes, "digest": digest, "names": names}


def find_checkpoint(dataset: Dataset, name: str) -> dict:
    """The checkpoint of a digest, of a name, or of the name of a feature set of `dataset`.

    Raises UnknownNameError naming those there are, UsageError for a name that several have.
    """
    every = list_checkpoints(dataset.backend)
    found = [record for record in every if name in (record["digest"], *record["names"])]
    if len(found) > 1:
        digests = ", ".join(record["digest"] for record in found)
        raise UsageError(f"several checkpoints are called {name!r}; give a digest: {digests}")
    if found:
        return found[0]
    named = {n.name: n.checkpoint for n in dataset.names() if n.checkpoint}
    if name in named:
        return read_checkpoint(dataset.backend, named[name])
    known = {name for record in every for name in record["names"]}
    raise UnknownNameError("checkpoint", name, {*known, *named})


def read_identity(backend: Backend, digest: str) -> Identity:
    """What a checkpoint was trained with and on, with the digests of its videos.

    Raises DamagedError for a record that does not say it as it should.
    """
    found = read_checkpoint(backend, digest)
    summaries = found.get(_TUNED_ON, [])
    if not summaries:
        return trained_with(found)
    inner = backend.attributes(f"checkpoints/{digest}/{_TUNED_ON}")
    identity = trained_with({**found, _TUNED_ON: inner.get("entries")})
    if summaries != [entry.summary for entry in identity.tuned_on]:
        raise _damaged(digest, "its tuned_on holds other videos than the record says")
    return identity


def trained_with(checkpoint: Mapping) -> Identity:
    """What a record of `read_checkpoint` says of the training, without the digests of videos.

    Raises DamagedError as `read_identity` does.
    """
    try:
        identity = parse_identity(checkpoint)
    except ValueError as error:
        raise _damaged(checkpoint.get("digest", ""), str(error)) from error
    return identity if identity.as_json() else of_settings(checkpoint["settings"] or {})


def _damaged(digest: str, why: str) -> DamagedError:
    return DamagedError(
        f"checkpoints/{digest} of the store does not say what it was trained with as it should "
        f"({why:.160}); remove that folder and run vifi extract again"
    )


def list_checkpoints(backend: Backend) -> list[dict]:
    """Every checkpoint of the store, as `read_checkpoint` gives it."""
    return [_read(backend, digest) for digest in backend.children("checkpoints")]
