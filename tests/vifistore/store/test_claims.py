"""Claims on blocks: strict when read, no orphans, and gone with their set."""

import dataclasses
import math

import pytest

from vifistore.errors import DamagedError
from vifistore.store import open_store
from vifistore.store.claims.claims import BlockClaim, read_claim, write_claim
from vifistore.store.removing.garbage import find_garbage
from vifistore.store.removing.removable import removals, remove_all, with_names
from vifistore.store.verifying.verify import verify_store

HELD = BlockClaim(epoch=1, owner="host-a run-1", expires=1.8e9, state="held", checksums={})
COMMITTED = dataclasses.replace(
    HELD, epoch=2, state="committed", checksums={"frames": "0123abcd"}, status="01"
)


@pytest.fixture
def claimed(whole):
    """A store with a sealed set whose first block has a claim, and the path of the set."""
    store = open_store(whole, mode="a")
    path = store.features("d", "start").path
    write_claim(store.backend, path, 0, HELD)
    return store, path


def test_a_claim_comes_back_and_another_takes_its_place(claimed):
    store, path = claimed
    assert read_claim(store.backend, path, 0) == HELD
    assert read_claim(store.backend, path, 1) is None
    write_claim(store.backend, path, 0, COMMITTED)
    assert read_claim(store.backend, path, 0) == COMMITTED
    # One of before would write blocks without asking.
    assert open_store(store.path).schema == 2


def test_claims_are_no_orphans_and_no_garbage(claimed):
    store, _ = claimed
    assert list(verify_store(store)) == []
    assert find_garbage(store) == []
    sealed = store.features("d", "start").sealed
    assert sealed is not None


def test_claims_go_with_their_set(claimed):
    store, path = claimed
    remove_all(store, with_names(store, removals(store, [path])))
    assert not (store.path / path).exists()
    assert list(verify_store(store)) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("epoch", 0), ("epoch", True), ("epoch", "1"), ("owner", ""), ("owner", 3)),
        *(
            ("expires", -1),
            ("expires", "now"),
            ("expires", math.inf),
            ("expires", math.nan),
            ("state", "lost"),
            ("checksums", []),
        ),
        *(("checksums", {"frames": "x"}), ("status", "01"), ("status", "0"), ("more", 1)),
    ],
)
def test_what_is_no_claim_is_refused_and_found(claimed, field, value):
    store, path = claimed
    group = f"{path}/claims/0"
    fields = {**dataclasses.asdict(HELD), field: value}
    store.backend.make_group(group, fields)
    with pytest.raises(DamagedError, match=f"is no claim: its {field} is not as it should be"):
        read_claim(store.backend, path, 0)
    (problem,) = verify_store(store)
    assert (problem.where, field in problem.what) == (group, True)


def test_a_claim_on_a_block_that_no_set_has_is_found(claimed):
    store, path = claimed
    write_claim(store.backend, path, 2, HELD)
    store.backend.make_group(f"{path}/claims/first", dataclasses.asdict(HELD))
    problems = {problem.where: problem.what for problem in verify_store(store)}
    assert problems.keys() == {f"{path}/claims/2", f"{path}/claims/first"}
    assert "no block" in problems[f"{path}/claims/2"]
