"""What a store holds: feature sets by name, checkpoints as a tree."""

import json
from dataclasses import asdict, replace

import numpy as np

from tests.support import plain_recipe, write_features
from tests.vifistore.store.conftest import RECORD
from vifi.__main__ import run
from vifistore.store.identity import Identity
from vifistore.store.info import lineage
from vifistore.store.names import set_name
from vifistore.training.training_settings import TrainSettings


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
    assert lines[3].endswith("(whole): step 500 (1000 with its parents')")
    assert lines[4].endswith("(stray): step 7, from gone, which is not here")
    assert run(["info", str(store.path), "--lineage", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["checkpoints"]) == 5


def test_parents_in_a_circle_are_all_listed(make_store):
    store = make_store(3)
    for name, parent in (("a", "b"), ("b", "a")):
        fields = {"name": name, "image_digest": name, "parent": parent}
        store.add_checkpoint({**RECORD, **fields})
    assert sorted(c["names"][0] for c in lineage(store)) == ["a", "b"]


def test_lineage_says_what_differs_from_the_parent(make_store, capsys):
    store = make_store(3)
    first = {**json.loads(json.dumps(asdict(TrainSettings(epochs=6)))), "kind": "trained"}
    runs = [("a", 10, "", first), ("b", 14, "a", {**first, "learning_rate": 1e-3})]
    for name, step, parent, settings in runs:
        facts = {"name": name, "image_digest": name, "step": step, "parent": parent}
        identity = Identity(templates=("a {}",), cleaning="words")
        record = {**RECORD, **facts, "settings": settings}
        store.add_checkpoint(record, identity)
    assert run(["info", str(store.path), "--lineage"]) == 0
    first_line, second_line = capsys.readouterr().out.splitlines()
    assert first_line.endswith(": step 10, “a {}”, class names words; epochs 6")
    assert second_line.endswith(": step 4 (14 with its parents'); learning_rate 0.001")
    assert run(["info", str(store.path), "--lineage", "--json"]) == 0
    documents = json.loads(capsys.readouterr().out)["checkpoints"]
    assert [(c["step"], c["run_step"]) for c in documents] == [(10, 10), (14, 4)]
    assert documents[1]["settings"] == {**first, "learning_rate": 1e-3}


def test_a_parent_that_says_little_was_as_by_default(make_store, capsys):
    store = make_store(3)
    plain = {**json.loads(json.dumps(asdict(TrainSettings(epochs=6)))), "kind": "trained"}
    for name, parent, settings in (("a", "", {"weights": "ema"}), ("b", "a", plain)):
        facts = {"name": name, "image_digest": name, "parent": parent, "settings": settings}
        store.add_checkpoint({**RECORD, **facts})
    assert run(["info", str(store.path), "--lineage"]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("; epochs 6")


def test_of_three_in_a_row_each_says_once_what_is_other_than_in_its_parent(make_store, capsys):
    store = make_store(3)
    plain = {**json.loads(json.dumps(asdict(TrainSettings(epochs=6)))), "kind": "trained"}
    said = {"class_names": "words", "num_frames": 2, "preprocess": "paper"}
    sampling = {"rule": "segment-centre", "frames": 2}
    how = {"cleaning": "words", "sampling": sampling, "preprocessing": {"family": "paper"}}
    texts = [("a {}", ()), ("a {}", ()), ("a {} here", ("{}",))]
    for number, (template, further) in enumerate(texts):
        settings = {**plain, **said, "template": template, "further_templates": list(further)}
        facts = {"name": f"c{number}", "image_digest": f"c{number}", "settings": settings}
        facts["parent"] = f"c{number - 1}" if number else ""
        identity = Identity(templates=(template, *further), **how)
        store.add_checkpoint({**RECORD, **facts}, identity)
    assert run(["info", str(store.path), "--lineage"]) == 0
    lines = [line.partition("): ")[2] for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "step 0, 2 frames, preprocessing paper, “a {}”, class names words; epochs 6",
        "step 0",
        "step 0, “a {} here | {}”",
    ]


def test_what_a_checkpoint_says_begins_no_line_of_its_own(make_store, capsys):
    store = make_store(3)
    forged = "x\n0123456789ab (forged): step 5"
    facts = {"parent": forged, "settings": {"note": forged}, "text_digest": "t"}
    store.add_checkpoint({**RECORD, **facts}, Identity(templates=(f"{{}} {forged}",)))
    fields = {"text_digest": "t", "class_names": ["a"], "templates": [f"{{}} {forged}"]}
    fields |= {"logit_scale": 10.0, "context_length": 77, "precision": "fp32"}
    store.add_texts(fields, np.ones((1, 1, 8)))
    for flag, count in (("--lineage", 1), ("--texts", 1), (None, 3)):
        assert run(["info", str(store.path), *filter(None, [flag])]) == 0
        assert len(capsys.readouterr().out.splitlines()) == count


def test_sets_are_listed_by_name_with_what_they_take(make_store, capsys):
    store = make_store(3)
    for name, decoder in (("zebra", "decord"), ("ant", "pyav")):
        recipe = replace(plain_recipe(), decoder=decoder)
        writer = write_features(store, "d", recipe, np.ones((3, 1, 4, 8)))
        writer.seal()
        set_name(store.dataset("d"), name, writer.id, "", force=False)
    assert run(["info", str(store.path)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "features" in line]
    assert [line.split("(")[1].split(")")[0] for line in lines] == ["ant", "zebra"]
    told = "3 done, 0 quarantined, sealed, 4 frames, 8 dimensions, 0.0 MB, made on 2026-02-03"
    assert lines[0].endswith(told)
