"""What a run leaves of itself: which blocks it wrote, and what read the videos of which rows."""

import itertools

import numpy as np
import pytest

from vifistore.store import run_record
from vifistore.store.run_record import (
    READERS,
    RunRecord,
    Spans,
    count_readers,
    read_readers,
    sealed_provenance,
)

BLOCKS, READ = [1, 2, 0], {"a": [[0, 2], [3, 4]], "b": [[2, 3]]}


@pytest.mark.parametrize("numbers", list(itertools.permutations([0, 1, 2, 4, 4, 5])))
def test_numbers_become_stretches_in_any_order(numbers):
    spans = Spans()
    for number in numbers:
        spans.add(number)
    assert spans.pairs == [[0, 3], [4, 6]]


def test_rows_are_kept_by_reader():
    run = RunRecord("features/d/x", {"host": "h"})
    run.add(BLOCKS)
    assert run.attributes() == {"host": "h", "blocks": [[0, 3]]}
    run.add_readers([0, 1, 2, 3, 4], ["a", "a", "b", "a", ""])
    assert run.attributes()[READERS] == READ


def test_a_long_record_is_gone_on_with_in_another(monkeypatch):
    monkeypatch.setattr(run_record, "_MOST_PAIRS", 3)
    run = RunRecord("features/d/x", {"host": "h"})
    run.add_readers([0, 2, 4], ["a"] * 3)
    assert run.gone_on_with() is run
    run.add_readers([6], ["a"])
    further = run.gone_on_with()
    assert further.path != run.path
    assert further.attributes() == {"host": "h", "blocks": []}


class Runs:
    """The runs of a set."""

    def __init__(self, *runs: dict) -> None:
        self._runs = dict(enumerate(runs))

    def children(self, _: str):
        return list(self._runs)

    def attributes(self, path: str) -> dict:
        return self._runs[int(path.rpartition("/")[2])]


def test_the_later_run_tells_what_read_a_row():
    later = {"started": "2026-02-02T00:00:00+00:00", READERS: {"c": [[1, 3]]}}
    earlier = {"started": "2026-01-01T00:00:00+00:00", READERS: READ}
    found = read_readers(Runs(later, earlier, {}), "features/d/x", 6)
    assert found.tolist() == ["a", "c", "c", "a", "", ""]


def test_a_sealed_set_keeps_how_many():
    sealed = sealed_provenance([{"host": "h", READERS: READ}, {"host": "i"}])
    assert sealed == [{"host": "h", READERS: {"a": 3, "b": 1}}, {"host": "i"}]
    assert count_readers([*sealed, {READERS: {"b": 4}}]) == {"a": 3, "b": 5}


@pytest.mark.parametrize(
    "told", [3, {"a": 3}, {"a": [3]}, {"a": [[0, 10**30], [-5, 1], [4, 2], ["x", 1], [0]]}]
)
def test_what_a_file_says_wrongly_is_of_no_row(told):
    found = read_readers(Runs({READERS: told}), "features/d/x", 2)
    assert set(found) <= {"", "a"}
    assert len(found) == 2
    (kept,) = sealed_provenance([{READERS: told}])
    counts = count_readers([kept])
    assert np.all([type(count) is int for count in counts.values()])
