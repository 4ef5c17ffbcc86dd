"""pyarrow, imported where a Parquet file is read or written and nowhere else."""

from types import ModuleType

from vifistore.errors import UsageError


def load_parquet() -> tuple[ModuleType, ModuleType]:
    """Return the modules pyarrow and pyarrow.parquet. Raises UsageError if not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError("Parquet files need pyarrow; run: pip install pyarrow") from error
    return pyarrow, pyarrow.parquet
