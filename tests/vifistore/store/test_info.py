"""The lineage of checkpoints, as a tree."""

import json

from tests.vifistore.store.conftest import RECORD
from vifi.__main__ import run
from vifistore.store.info import lineage


def test_children_come_below_their_parents(make_store, capsys):
    store = make_store(3)

    def add(name: str, step: int, parent: str) -> str:
        fields = {"name": name, "image_digest": name, "step": step, "parent": parent}
        return store.add_checkpoint({**RECORD, **fields})

    root = add("openai", 0, "")
    half = add("half", 500, root)
    add("whole", 1000, "half")
    add("early", 100, root)
    add("stray", 7, "gone")
    found = [(c["names"][0], c["depth"]) for c in lineage(store)]
    assert found == [("openai", 0), ("early", 1), ("half", 1), ("whole", 2), ("stray", 0)]
    assert run(["info", str(store.path), "--lineage"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == f"  {half} (half): step 500"
    assert lines[4].endswith("(stray): step 7, from gone, which is not here")
    assert run(["info", str(store.path), "--lineage", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["checkpoints"]) == 5


def test_parents_in_a_circle_are_all_listed(make_store):
    store = make_store(3)
    for name, parent in (("a", "b"), ("b", "a")):
        fields = {"name": name, "image_digest": name, "parent": parent}
        store.add_checkpoint({**RECORD, **fields})
    assert sorted(c["names"][0] for c in lineage(store)) == ["a", "b"]
