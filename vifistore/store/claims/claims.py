"""Claims on blocks: which machine writes a block, until when, where no lock reaches all of them.

A claim is a small group of its own, `features/<dataset>/<id>/claims/<block>`, so that writing the
one file of it commits a block. Locks on one machine stay what they are.
"""

import math
import re
from dataclasses import asdict, dataclass, fields

from vifistore.errors import DamagedError
from vifistore.files import parse_json_object
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.metadata import group_files, metadata_key

CLAIMS = "claims"
BY_CLAIMS = "claims"
"""Attribute of a set on a disk whose blocks are written under claims."""
TURN = "turn"
"""In the place of a block: who plans, seals or names the set."""
HELD, COMMITTED = "held", "committed"

_NUMBER = re.compile(r"0|[1-9]\d{0,17}")
_STATUS = re.compile(r"([0-9a-f]{2})*")
_CHECKSUM = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, kw_only=True)
class BlockClaim:
    """One machine's claim on a block."""

    epoch: int
    """Counts the claims on this block, from 1."""
    owner: str
    """Who writes it: a host and a run."""
    expires: float
    """Seconds since 1970 from which on another may claim the block."""
    state: str
    """`held` while it is written, `committed` once its chunks are those of `checksums`."""
    checksums: dict[str, str]
    """CRC32C of the block's chunk by the name of its array, 8 hex digits, as they were committed
    last; none before that."""
    status: str = ""
    """The block's chunk of `status` as it was committed last, two hex digits a video."""


@dataclass(frozen=True, kw_only=True)
class OtherClaim:
    """What another process has of a block."""

    holder: str
    expires: float
    """Seconds since 1970 by the store's clock; later ones from call to call as long as it lives."""
    seconds_left: float
    """Until then."""


def claim_key(feature_path: str, name: int | str) -> str:
    """Key of the file of a claim: of a block, or of `TURN`."""
    return metadata_key(f"{feature_path}/{CLAIMS}/{name}")


def block_of(key: str) -> int | None:
    """The block that the file at `key` is the claim on; None for any other file."""
    *_, folder, name, file = ("", "", "", *key.split("/"))
    is_claim = folder == CLAIMS and _NUMBER.fullmatch(name) and file == metadata_key("")
    return int(name) if is_claim else None


def claim_bytes(claim: BlockClaim) -> bytes:
    """The file of a claim."""
    ((content,),) = group_files({"": asdict(claim)}).values()
    return content


def parse_claim(content: bytes) -> BlockClaim:
    """The claim of such a file. Raises ValueError for what is none."""
    try:
        found = parse_json_object(content)["attributes"]
        wrong = _wrong_field(found) if isinstance(found, dict) else "attributes"
    except LookupError as error:
        raise ValueError(str(error)) from error
    if wrong:
        raise ValueError(f"its {wrong} is not as it should be")
    return BlockClaim(**found)


def write_claim(backend: Backend, feature_path: str, block: int, claim: BlockClaim) -> None:
    """Write the claim on a block of the feature set at `feature_path` in the place of any other.

    Raises UsageError if the store is read-only.
    """
    backend.require_schema(2)
    backend.make_group(f"{feature_path}/{CLAIMS}/{block}", asdict(claim))


def read_claim(backend: Backend, feature_path: str, block: int | str) -> BlockClaim | None:
    """The claim on a block, or on TURN; None if there is none.

    Raises DamagedError for what is no claim.
    """
    key = claim_key(feature_path, block)
    try:
        return parse_claim(backend.place.get(key))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DamagedError(
            f"{backend.folder}/{key} is no claim: {error}; remove that folder while nobody writes "
            "the set"
        ) from error


def _wrong_field(found: dict) -> str:
    """The first field of a claim that is missing, too many or wrong; empty if all is well."""
    if odd := sorted(found.keys() ^ {field.name for field in fields(BlockClaim)}):
        return odd[0]
    checksums = found["checksums"]
    checks = {
        "epoch": type(found["epoch"]) is int and found["epoch"] > 0,
        "owner": isinstance(found["owner"], str) and found["owner"] != "",
        "expires": type(found["expires"]) in (int, float) and 0 <= found["expires"] < math.inf,
        "state": found["state"] in (HELD, COMMITTED),
        "checksums": isinstance(checksums, dict)
        and all(isinstance(c, str) and _CHECKSUM.fullmatch(c) for c in checksums.values())
        and bool(checksums) >= (found["state"] == COMMITTED),
        "status": isinstance(found["status"], str)
        and bool(_STATUS.fullmatch(found["status"]))
        and bool(found["status"]) == bool(checksums),
    }
    return next((name for name, is_right in checks.items() if not is_right), "")
