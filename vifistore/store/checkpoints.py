"""Checkpoints of the store: what a model was, and what it came from. Written once each."""

from collections.abc import Mapping

from vifistore.errors import UnknownNameError
from vifistore.store.backend import Backend
from vifistore.store.fields import NONE, read_fields
from vifistore.store.recipe import digest_of
from vifistore.store.schema import check_name

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


def checkpoint_digest(image_digest: str, text_digest: str, logit_scale: float) -> str:
    """Return the digest that names a checkpoint: its two towers and its logit scale."""
    towers = {"image": image_digest, "text": text_digest, "logit_scale": logit_scale}
    return digest_of(towers)[:12]


def register_checkpoint(backend: Backend, checkpoint: Mapping) -> str:
    """Record a checkpoint (see `read_checkpoint` for its fields) and return its digest.

    A digest that is there already keeps its record. Each name is also a small group of its own
    below it: where two processes record one checkpoint at once, the last record stays, and both
    names do.
    """
    digest = checkpoint_digest(
        checkpoint["image_digest"], checkpoint["text_digest"], checkpoint["logit_scale"]
    )
    path = f"checkpoints/{digest}"
    name = check_name("checkpoint", checkpoint["name"])
    if not backend.exists(path):
        fields = {key: value for key, value in checkpoint.items() if key != "name"}
        backend.make_group(path, {**fields, "names": [name]})
        backend.make_group(f"{path}/names/{name}", {})
    elif name not in read_checkpoint(backend, digest)["names"]:
        backend.make_group(f"{path}/names/{name}", {})
    return digest


def read_checkpoint(backend: Backend, digest: str) -> dict:
    """Read a checkpoint: names, model, config, weights_path, image_digest, text_digest,
    logit_scale, parent, step, settings.

    Raises UnknownNameError naming those there are.
    """
    if digest not in (known := backend.children("checkpoints")):
        raise UnknownNameError("checkpoint", digest, known)
    return _read(backend, digest)


def _read(backend: Backend, digest: str) -> dict:
    attributes = read_fields(backend, f"checkpoints/{digest}", _KINDS)
    further = backend.children(f"checkpoints/{digest}/names")
    names = list(dict.fromkeys([*attributes["names"], *further]))
    return {**attributes, "digest": digest, "names": names}


def list_checkpoints(backend: Backend) -> list[dict]:
    """Every checkpoint of the store, as `read_checkpoint` gives it."""
    return [_read(backend, digest) for digest in backend.children("checkpoints")]
