"""What the claims of a feature set say of its blocks: listed, and only those read that changed."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from vifistore.store.claims.claim_objects import ClaimObjects
from vifistore.store.claims.claims import CLAIMS, COMMITTED, BlockClaim, block_of
from vifistore.store.key_value.durable import parallel
from vifistore.store.key_value.storage import Storage

_CHECKSUM_BYTES = 4

Kept = TypeVar("Kept", bound=Hashable)


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedClaim:
    """What a claim says; of ten million videos there are 156,250, so that it is kept small."""

    version: str
    is_committed: bool
    status: bytes
    """Of each video of the block, as it was committed last; empty before that."""
    names: tuple[str, ...]
    ends: bytes
    """The checksums of its chunks, of the arrays of these names, one behind the other."""
    holder: str
    """Who has it; empty where it is committed."""
    expires: float

    @property
    def checksums(self) -> dict[str, bytes]:
        """Of its chunks, by array."""
        starts = range(0, len(self.ends), _CHECKSUM_BYTES)
        ends = (self.ends[start : start + _CHECKSUM_BYTES] for start in starts)
        return dict(zip(self.names, ends, strict=True))


class ClaimListing:
    """The claims of one feature set, as they were listed last."""

    def __init__(self, files: Storage, claims: ClaimObjects, feature_path: str) -> None:
        self._files, self._claims, self._path = files, claims, feature_path
        self._known: dict[int, ListedClaim] = {}
        self._alike: dict[Hashable, Any] = {}

    def refresh(self) -> Mapping[int, ListedClaim]:
        """The claims by block. Raises DamagedError for an object that is no claim."""
        versions = {}
        for file in self._files.files(f"{self._path}/{CLAIMS}"):
            if (block := block_of(file.key)) is not None:
                versions[block] = file.version
        changed = [
            block
            for block, version in versions.items()
            if block not in self._known or self._known[block].version != version
        ]

        def read(block: int) -> None:
            if found := self._claims.fetch(block):
                self.remember(block, found[0], versions[block])
            else:
                self._known.pop(block, None)

        # One by one, as they are many times as large as what is kept of them.
        parallel(read, changed, self._files.threads(0))
        known = self._known
        self._known = {block: known[block] for block in sorted(versions) if block in known}
        # A thread that commits adds to it, while another goes through what was listed.
        return self._known.copy()

    def remember(self, block: int, claim: BlockClaim, version: str) -> None:
        """Know a claim that this process has read or written, with that version of its file."""
        names = tuple(sorted(claim.checksums))
        is_committed = claim.state == COMMITTED
        self._known[block] = ListedClaim(
            version=version,
            is_committed=is_committed,
            status=self._one(bytes.fromhex(claim.status)),
            names=self._one(names),
            ends=b"".join(bytes.fromhex(claim.checksums[name]) for name in names),
            holder="" if is_committed else self._one(claim.owner),
            expires=claim.expires,
        )

    def _one(self, value: Kept) -> Kept:
        """The first of all that are equal: of most blocks they are."""
        return self._alike.setdefault(value, value)
