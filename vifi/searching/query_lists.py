"""A file of queries in words, one per line."""

from pathlib import Path

from vifistore.errors import UsageError
from vifistore.files import read_regular


def query_lines(path: Path) -> list[str]:
    """The lines that hold something. Raises UsageError for a file that cannot be read as text, or
    that holds none."""
    try:
        # Editors on Windows begin UTF-8 with a mark, which is no part of the first query.
        lines = read_regular(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text ({error}); convert it") from error
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}); give a file with a query per line"
        ) from error
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise UsageError(f"{path} holds no query; write one per line")
    return texts
