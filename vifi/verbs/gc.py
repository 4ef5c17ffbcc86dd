"""`vifi gc S`: list, or remove, what nothing names."""

from dataclasses import dataclass

from vifi.command_line.console import parse, print_json, say
from vifi.command_line.shared_arguments import PrintArguments, StoreArguments
from vifistore.errors import shell
from vifistore.store import open_store
from vifistore.store.removing.garbage import delete_garbage, find_garbage
from vifistore.store.removing.removal import clear_removed
from vifistore.temporaries import clear_temporaries


@dataclass(frozen=True, kw_only=True)
class GcArguments(PrintArguments, StoreArguments):
    """List feature sets without a name and what stopped runs left behind."""

    delete: bool = False
    """Remove what is listed; what is being written stays."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("gc", GcArguments, arguments)
    # For reading: opened for writing it would be cleared of leftovers, and not say so.
    store = open_store(wanted.store)
    if wanted.delete:
        clear_removed(store.backend)
    found = find_garbage(store)
    deleted = [wanted.delete and delete_garbage(store, garbage) for garbage in found]
    if wanted.delete:
        clear_temporaries(store.cache_folder, "**/*")
    if wanted.json:
        documents = [
            {**garbage.as_dict(), "deleted": gone}
            for garbage, gone in zip(found, deleted, strict=True)
        ]
        print_json({"garbage": documents})
        return 0
    for garbage, gone in zip(found, deleted, strict=True):
        left = "left: it is being written, or was until just now" if wanted.delete else "can go"
        say(f"{garbage.where}: {garbage.what}, {garbage.size_bytes} bytes; {_state(gone, left)}")
    if found and not wanted.delete:
        again = shell("vifi", "gc", wanted.store, "--delete")
        say(f"{len(found)} can go; remove them with: {again}")
    elif not found:
        say("nothing can go")
    return 0


def _state(gone: bool, otherwise: str) -> str:
    return "removed" if gone else otherwise
