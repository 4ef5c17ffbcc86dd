"""pyarrow, imported where a Parquet file is read or written and nowhere else."""

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from vifistore.errors import UsageError, first_line
from vifistore.files import require_regular
from vifistore.store.importing.import_source import UNREADABLE
from vifistore.store.schema import STRETCH_COLUMNS

if TYPE_CHECKING:
    import pyarrow

logger = logging.getLogger("vifi")

# What a number, or a reference to a text, takes once it is read.
_VALUE_BYTES = 8


def load_parquet() -> tuple[ModuleType, ModuleType]:
    """Return the modules pyarrow and pyarrow.parquet. Raises UsageError if not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError("Parquet files need pyarrow; run: pip install pyarrow") from error
    return pyarrow, pyarrow.parquet


@contextlib.contextmanager
def clear_parquet_errors(file: Path, told: str) -> Iterator[ModuleType]:
    """Give pyarrow, to read a file; raise UsageError for whatever is wrong with it, `told` being
    what it lacks and what to do."""
    pyarrow, _ = load_parquet()
    lack, _, remedy = told.partition("; ")
    try:
        yield pyarrow
    except UsageError:
        raise
    except (*UNREADABLE, pyarrow.ArrowException) as error:
        words = f"{file} has no {lack} that can be read ({first_line(error)}); {remedy}"
        raise UsageError(words) from error


def read_parquet(file: Path, columns: Sequence[str] | None = None) -> "pyarrow.Table":
    """Read these columns of a Parquet file, by default those it has.

    Raises UsageError for more values than half of the machine's memory holds: repeated ones take
    nearly no space in the file. Raises whatever pyarrow does for a file that it cannot read.
    """
    _, parquet = load_parquet()
    require_regular(file)
    with parquet.ParquetFile(file) as opened:
        metadata = opened.metadata
        parts = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        chunks = [part.column(number) for part in parts for number in range(part.num_columns)]
        num_bytes = sum(
            max(chunk.total_uncompressed_size, chunk.num_values * _VALUE_BYTES)
            for chunk in chunks
            if columns is None or chunk.path_in_schema.split(".")[0] in columns
        )
        if num_bytes > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2:
            raise UsageError(
                f"{file} says that it holds {num_bytes / 1e9:.0f} GB once it is read, more than "
                "half of this machine's memory; split it into a folder of smaller files"
            )
        names = opened.schema_arrow.names if columns is None else columns
        if missing := [name for name in names if name not in opened.schema_arrow.names]:
            raise KeyError(missing[0])
        return opened.read(columns=list(names))


def warn_of_stretches(file: Path) -> None:
    """Say so if a Parquet file that can be read tells which parts of videos its rows are."""
    _, parquet = load_parquet()
    if told := [name for name in parquet.read_schema(file).names if name in STRETCH_COLUMNS]:
        logger.warning(
            "%s has %s, which are not read: every row is taken for a whole video; import an export "
            "as hdf5 or zarr to keep parts of videos",
            *(file, " and ".join(told)),
        )
