"""Columns of a table of millions of rows, of which a few chunks are held at a time.

Of ten million paths an array takes 750 MB, in every process that works on them.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any

import numpy as np

from vifistore.errors import StoreError
from vifistore.store.schema import TABLE_CHUNK, ArraySpec
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.column_digests import ColumnDigest, kept_digests, require_kept

# Pages of a column that are held, and read at once where all are gone through.
_HELD, _AT_ONCE = 4, 8


class PagedTable:
    """Columns of the table at `path`, as it was when its attributes were read."""

    def __init__(
        self,
        backend: Backend,
        path: str,
        stored: Mapping[str, ArraySpec],
        constant: Mapping[str, ArraySpec],
        attributes: Mapping,
    ) -> None:
        """`stored` are the columns that are wanted; those that are `constant` the table has not,
        and all rows have their fill value."""
        self._backend, self._path, self._attributes = backend, path, attributes
        self._stored, self._constant = stored, constant
        self._pages: OrderedDict[tuple[str, int], np.ndarray] = OrderedDict()
        self._prints: dict[tuple[str, int], int] = {}
        self._turns = Lock()
        self.num_rows: int = attributes["rows"]

    def __getitem__(self, name: str) -> "PagedColumn":
        assert name in self._stored or name in self._constant, "it was asked for"
        return PagedColumn(self, name)

    def read_through(self) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Yield the first row and the columns, [row] each, of some rows after the other.

        Raises DamagedError at the end unless all of them are what was written.
        """
        kept = kept_digests(self._attributes)
        shape = (self.num_rows,)
        made = {n: ColumnDigest(spec, shape) for n, spec in self._stored.items() if n in kept}
        for first in range(0, self.num_rows, step := _AT_ONCE * TABLE_CHUNK):
            last = min(first + step, self.num_rows)
            columns = {name: self._read(name, first, last) for name in self._stored}
            for name, values in columns.items():
                if name in made:
                    made[name].add(values)
                self._hold_all(name, first, values)
            yield first, columns | self._filled(last - first)
        found = {name: digest.hexdigest() for name, digest in made.items()}
        require_kept(self._backend, self._path, found, self._attributes)

    def _read(self, name: str, first: int, last: int) -> np.ndarray:
        return self._backend.read(f"{self._path}/{name}", first, last, may_lack=False)

    def _filled(self, count: int) -> dict[str, np.ndarray]:
        return {n: np.full(count, s.fill, s.dtype) for n, s in self._constant.items()}

    def _hold_all(self, name: str, first: int, values: np.ndarray) -> None:
        for start in range(0, len(values), TABLE_CHUNK):
            page = values[start : start + TABLE_CHUNK]
            with self._turns:
                # Not a part of all that were read: that would keep the whole of it.
                self._hold(name, (first + start) // TABLE_CHUNK, page.copy())

    def value(self, name: str, row: int) -> Any:
        """One value. Raises StoreError where the table has become another one."""
        if name in self._constant:
            return self._constant[name].fill
        number, place = divmod(row, TABLE_CHUNK)
        with self._turns:
            page = self._pages.get((name, number))
            if page is None:
                first = number * TABLE_CHUNK
                page = self._read(name, first, min(first + TABLE_CHUNK, self.num_rows))
                self._hold(name, number, page)
            else:
                self._pages.move_to_end((name, number))
            return page[place]

    def _hold(self, name: str, number: int, page: np.ndarray) -> None:
        """Keep a page, and know it again: chunks of another table have right checksums, too."""
        made = hash(tuple(page)) if page.dtype.hasobject else hash(page.tobytes())
        if self._prints.setdefault((name, number), made) != made:
            raise StoreError(
                f"{self._backend.folder}/{self._path} was written anew while this ran; run the "
                "same command again"
            )
        self._pages[name, number] = page
        if len(self._pages) > _HELD * len(self._stored):
            self._pages.popitem(last=False)


class PagedColumn:
    """One column, [row], read as it is asked for."""

    def __init__(self, table: PagedTable, name: str) -> None:
        self._table, self._name = table, name

    def __len__(self) -> int:
        return self._table.num_rows

    def __getitem__(self, rows: Any) -> Any:
        """The value of a row, or the values of several, int64 [row]."""
        if isinstance(rows, int | np.integer):
            return self._table.value(self._name, int(rows))
        values = [self._table.value(self._name, row) for row in rows.tolist()]
        return np.array(values, object if values and isinstance(values[0], str) else None)

    def __iter__(self) -> Iterator[Any]:
        for _, columns in self._table.read_through():
            yield from columns[self._name]
