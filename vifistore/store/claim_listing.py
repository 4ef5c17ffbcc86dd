"""What the claims of a feature set say of its blocks: listed, and only those read that changed."""

from collections.abc import Mapping
from dataclasses import dataclass

from vifistore.store.claim_objects import ClaimObjects
from vifistore.store.claims import CLAIMS, COMMITTED, BlockClaim, block_of
from vifistore.store.durable import parallel
from vifistore.store.storage import Storage


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedClaim:
    """What a claim says; of ten million videos there are 156,250, so that it is kept small."""

    version: str
    is_committed: bool
    status: bytes
    """Of each video of the block, as it was committed last; empty before that."""
    names: tuple[str, ...]
    checksums: tuple[bytes, ...]
    """Of its chunks, of the arrays of these names."""
    holder: str
    """Who has it; empty where it is committed."""
    expires: float


class ClaimListing:
    """The claims of one feature set, as they were listed last."""

    def __init__(self, files: Storage, claims: ClaimObjects, feature_path: str) -> None:
        self._files, self._claims, self._path = files, claims, feature_path
        self._known: dict[int, ListedClaim] = {}
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}

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
        found = parallel(self._claims.fetch, changed, self._files.threads(0))
        for block, one in zip(changed, found, strict=True):
            if one is None:
                versions.pop(block)
            else:
                self.remember(block, one[0], versions[block])
        self._known = {block: self._known[block] for block in sorted(versions)}
        return self._known

    def remember(self, block: int, claim: BlockClaim, version: str) -> None:
        """Know a claim that this process has read or written, with that version of its file."""
        names = tuple(sorted(claim.checksums))
        # One tuple for all blocks.
        names = self._names.setdefault(names, names)
        is_committed = claim.state == COMMITTED
        self._known[block] = ListedClaim(
            version=version,
            is_committed=is_committed,
            status=bytes.fromhex(claim.status),
            names=names,
            checksums=tuple(bytes.fromhex(claim.checksums[name]) for name in names),
            holder="" if is_committed else claim.owner,
            expires=claim.expires,
        )
