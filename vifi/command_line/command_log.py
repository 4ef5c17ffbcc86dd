"""The commands that filled a store, for the page of its results.

They lie in the store's cache, which is safe to delete: nothing but that page reads them.
"""

import contextlib
import json
from typing import TYPE_CHECKING

from vifistore.files import parse_json, read_regular, regular_opener
from vifistore.store.provenance import command_line

if TYPE_CHECKING:
    from vifistore.store.store import Store

COMMANDS_FILE = "commands.jsonl"


def remember_command(store: "Store") -> None:
    """Add the command line of this process; a folder that cannot be written is no obstacle."""
    folder = store.backend.cache_folder
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        # One write, so that lines of several processes do not mix.
        with open(folder / COMMANDS_FILE, "a", encoding="utf-8", opener=regular_opener) as file:
            file.write(json.dumps(command_line()) + "\n")


def commands_of(store: "Store") -> list[str]:
    """The commands that filled the store, each once, in the order of their first time."""
    try:
        data = read_regular(store.backend.cache_folder / COMMANDS_FILE)
    except OSError:
        return []
    found = []
    for line in data.decode("utf-8", "replace").splitlines():
        # The last line of a process that was killed is half a text.
        with contextlib.suppress(ValueError):
            found.append(parse_json(line))
    return list(dict.fromkeys(text for text in found if isinstance(text, str)))
