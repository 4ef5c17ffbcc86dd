"""Which tables and figures a report wrote into a results folder, so that the next one can take away
those that are no longer written."""

import logging
from collections.abc import Iterable
from pathlib import Path

from harness.results.whole_files import FOLDER, read_document, write_json
from vifistore.errors import first_few

logger = logging.getLogger("vifi")

_NAME = "written.json"
# Nothing else is ever removed, whatever the list says.
_KINDS = (".md", ".csv", ".tex", ".html", ".png", ".svg", ".pdf")


def remove_former(folder: Path, files: Iterable[Path]) -> list[Path]:
    """Remove what an earlier report wrote beside these files, and say so; returns what went.

    Only tables and figures that lie in the folder itself. Raises DamagedError for a list that
    is none.
    """
    path = folder / FOLDER / _NAME
    written = sorted({file.name for file in files if file.parent == folder})
    former = [name for name in read_document(path, list) if isinstance(name, str)]
    gone = [folder / name for name in former if name not in written and _is_ours(name)]
    gone = [file for file in gone if file.is_file() and not file.is_symlink()]
    for file in gone:
        file.unlink()
    if gone:
        names = first_few([file.name for file in gone], 4)
        logger.info("removed what an earlier report wrote and this one does not: %s", names)
    write_json(path, written)
    return gone


def _is_ours(name: str) -> bool:
    return Path(name).name == name and name.endswith(_KINDS)
