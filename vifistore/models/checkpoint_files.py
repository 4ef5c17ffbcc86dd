"""Checkpoint files: safetensors weights with a JSON header that says what they are."""

import json
import os
import struct
import zipfile
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from vifistore.errors import ModelError, first_line, short
from vifistore.files import open_regular
from vifistore.models.file_kinds import refuse_other_files, unreadable_safetensors
from vifistore.store.identity import Identity, of_settings, parse_identity
from vifistore.store.key_value.durable import put_file
from vifistore.store.schema import check_name

_HEADER_KEY = "vifistore"

# Length of the JSON that a safetensors file begins with.
_LENGTH = struct.Struct("<Q")
# The format's own limit; a file may be as long as it says and hold nothing.
_LARGEST_HEADER = 100_000_000


@dataclass(frozen=True, kw_only=True)
class CheckpointHeader:
    """What a checkpoint file says of itself."""

    model: str
    """OpenCLIP model name."""
    config: dict
    """OpenCLIP model config in full."""
    name: str
    """Name of the checkpoint."""
    step: int
    """Optimiser updates made."""
    parent: str
    """Digest of the checkpoint it was trained from; empty if from scratch."""
    settings: dict
    """How it was trained."""
    system: dict = field(default_factory=dict)
    """Whose modules its weights have beside CLIP's, and their sizes; empty, and not in the file,
    for none."""
    digest: str = ""
    """Digest of the checkpoint, which its weights must have; empty where it was not taken."""
    identity: Identity = field(default_factory=Identity)
    """What it was trained with and on; in the file its fields stand among the others."""

    def as_json(self) -> dict:
        """The fields as plain JSON values."""
        own = {name: getattr(self, name) for name in _OWN_FIELDS}
        if not self.system:
            del own["system"]
        return {**own, **self.identity.as_json()}


_OWN_FIELDS = tuple(f.name for f in fields(CheckpointHeader) if f.name != "identity")


def save_checkpoint(path: Path, state: dict[str, torch.Tensor], header: CheckpointHeader) -> None:
    """Write weights, each a tensor [...], and header; the file is on the disk before it has its
    name."""
    # safetensors refuses tensors that share memory or have gaps.
    weights = {key: value.detach().cpu().contiguous().clone() for key, value in state.items()}
    metadata = {"format": "pt", _HEADER_KEY: json.dumps(header.as_json())}
    put_file(path, save(weights, metadata))


def is_whole(path: Path) -> bool:
    """Whether a file ends where it says it does; one that is half copied does not.

    False also for a file that cannot say, which is neither safetensors nor torch's zip.
    """
    try:
        if path.suffix != ".safetensors":
            return zipfile.is_zipfile(path)
        with open_regular(path) as file:
            (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
            size = os.fstat(file.fileno()).st_size
            if _LENGTH.size + length > size or length > _LARGEST_HEADER:
                return False
            tensors = json.loads(file.read(length))
        ends = [entry["data_offsets"][1] for key, entry in tensors.items() if key[0] != "_"]
        return _LENGTH.size + length + max(ends, default=0) == size
    except (
        *(OSError, ValueError, struct.error, LookupError, TypeError, AttributeError),
        RecursionError,
    ):
        return False


def read_header(path: Path) -> CheckpointHeader | None:
    """Return what a file says of itself, or None if it is not one of ours.

    Raises ModelError if the file or its header cannot be read.
    """
    if path.suffix != ".safetensors":
        return None
    refuse_other_files(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise unreadable_safetensors(path, error) from error
    text = metadata.get(_HEADER_KEY)
    if not text:
        return None
    try:
        return _parse_header(json.loads(text))
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{short(path.name)} has a header that cannot be read ({first_line(error)}); convert "
            "the file again, or save its tensors alone"
        ) from error


def _parse_header(found: dict) -> CheckpointHeader:
    """The header in a JSON document; what it says beyond the fields is left to later versions.

    Raises TypeError or ValueError for what is missing or no header says.
    """
    if not isinstance(found, dict):
        raise TypeError(f"it is {found!r:.60}, not an object")
    header = CheckpointHeader(**{name: found[name] for name in _OWN_FIELDS if name in found})
    _check_types(header)
    if header.step < 0:
        raise ValueError(f"step is {header.step}")
    check_name("checkpoint", header.name)
    identity = parse_identity(found)
    if not identity.as_json():
        identity = of_settings(header.settings)
    return replace(header, identity=identity)


def _check_types(header: CheckpointHeader) -> None:
    """Raise TypeError for a field that is not what it should be: files come from others, too."""
    for field_ in fields(header):
        value, kind = getattr(header, field_.name), field_.type
        assert isinstance(kind, type), "its annotations are no texts"
        if type(value) is not kind:
            raise TypeError(f"{field_.name} is {value!r:.60}, not {kind.__name__}")
