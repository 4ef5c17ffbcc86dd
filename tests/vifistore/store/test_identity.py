"""What a checkpoint was trained with and on: said, read back, and refused where it is damaged."""

import base64
import hashlib
import json

import pytest

from tests.vifistore.store.conftest import RECORD
from vifi.__main__ import run
from vifistore.errors import DamagedError
from vifistore.store import open_store
from vifistore.store.as_trained import differences
from vifistore.store.checkpoints import read_identity, register_checkpoint
from vifistore.store.identity import Identity, TunedOn, joined, of_settings, packed, parse_identity
from vifistore.store.importing.store_copy import copy_checkpoint
from vifistore.store.store import create_store

DIGESTS = [hashlib.sha256(bytes([number])).hexdigest() for number in range(5)]
TRAIN = TunedOn(dataset="d", split="train", class_names=("run", "jump"), videos=packed(DIGESTS[:3]))
WHOLE = Identity(
    preprocessing={
        "family": "paper",
        "size": 224,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "interpolation": "bilinear",
        "resize_mode": "shortest",
        "own": {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]},
    },
    templates=("a photo of a {}.",),
    cleaning="words",
    sampling={"rule": "segment-centre", "frames": 16},
    tuned_on=(TRAIN,),
    assumed=("activation",),
)


def test_every_field_comes_back_and_what_is_unknown_is_left_out():
    said = WHOLE.as_json()
    assert parse_identity(json.loads(json.dumps(said))) == WHOLE
    assert parse_identity({**said, "later": 1}) == WHOLE
    assert Identity().as_json() == {}
    assert parse_identity({}) == Identity()
    # Sorted, so that the text does not depend on the order in which videos were read.
    raw = base64.b64decode(said["tuned_on"][0]["videos"])
    assert raw == b"".join(sorted(bytes.fromhex(digest)[:8] for digest in DIGESTS[:3]))


def test_videos_are_known_by_the_first_bytes_of_their_digests():
    assert TRAIN.num_videos == 3
    assert packed([*DIGESTS[:3], DIGESTS[0], ""]) == TRAIN.videos
    asked = [DIGESTS[4], DIGESTS[1], "", "d7", DIGESTS[2]]
    assert TRAIN.holds(asked).tolist() == [False, True, False, False, True]
    unknown = TunedOn(dataset="d", split="train")
    assert not unknown.holds(asked).any()
    assert TRAIN.holds([]).tolist() == []


def test_a_split_that_was_read_in_two_parts_is_one_entry():
    rest = TunedOn(dataset="d", split="train", class_names=("run", "jump"), videos=packed(DIGESTS))
    other = TunedOn(dataset="k400", split="train", videos=packed(DIGESTS[3:]))
    both = joined([TRAIN, other, rest])
    assert [(entry.name, entry.num_videos) for entry in both] == [("d/train", 5), ("k400/train", 2)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            ("preprocessing", value)
            for value in ([], {"family": "mine"}, {"family": "paper", "std": [1, 1, 0]})
        ),
        *(
            ("preprocessing", {"family": "openclip", **bad})
            for bad in (
                *({"mean": "x"}, {"mean": [0, 0]}, {"mean": [float("nan")] * 3}, {"size": True}),
                *({"size": 10**9}, {"resize_mode": "zoom"}, {"interpolation": ["bicubic"]}),
            )
        ),
        *(("templates", value) for value in ("a {}", ["no place"], [5])),
        *(("cleaning", value) for value in ("upper", None, [])),
        *(
            ("sampling", value)
            for value in (16, {"rule": "x"}, {"rule": 1, "frames": 4}, {"rule": "x", "frames": 0})
        ),
        *(
            ("tuned_on", value)
            for value in ("d", [5], [{"dataset": "d"}], [{"dataset": "d", "split": 1}])
        ),
        *(("tuned_on", [{"dataset": "d", "split": "s", "videos": v}]) for v in ("%%", "QUJD", 5)),
        ("tuned_on", [{"dataset": "d", "split": "s", "class_names": "run"}]),
        *(("assumed", value) for value in ("activation", ["weather"])),
    ],
)
def test_a_damaged_field_is_named(field, value):
    with pytest.raises(ValueError, match=f"its {field} is not as it should be") as caught:
        parse_identity({**WHOLE.as_json(), field: value})
    assert len(str(caught.value)) < 200


def test_settings_of_an_older_version_say_what_it_was_trained_with():
    settings = {"trains": "full", "template": "{}", "class_names": "spaces", "num_frames": 8}
    found = of_settings({**settings, "preprocess": "paper"})
    assert (found.templates, found.cleaning, found.frames) == (("{}",), "spaces", 8)
    assert found.preprocessing == {"family": "paper"}
    assert of_settings({"epochs": 3}) == Identity()
    assert of_settings({**settings, "preprocess": "mine"}) == Identity()
    head = of_settings(
        {"head": "a5", "trained_on": {"dataset": "d", "split": "train", "videos": 3}}
    )
    assert head.tuned_on == (TunedOn(dataset="d", split="train"),)


def test_a_store_keeps_it_and_opens_without_its_videos(make_store):
    store = make_store(3)
    digest = store.add_checkpoint(RECORD, WHOLE)
    opened = open_store(store.path)
    assert opened.identity(digest) == WHOLE
    record = opened.checkpoint(digest)
    assert record["tuned_on"] == [TRAIN.summary]
    assert record["templates"] == ["a photo of a {}."]
    assert "videos" not in json.dumps(record["tuned_on"]).replace("num_videos", "")
    assert opened.identity(store.add_checkpoint({**RECORD, "logit_scale": 2.0})) == (Identity())


def test_a_record_gains_what_a_header_knows_and_loses_nothing(make_store):
    """The same weights, first from a bare file and then from one that says what it is."""
    store = make_store(3)
    guess = {**WHOLE.preprocessing, "family": "openclip"}
    bare = Identity(preprocessing=guess, assumed=("preprocessing",))
    digest = store.add_checkpoint(RECORD, bare)
    assert store.add_checkpoint({**RECORD, "name": "again"}, WHOLE) == digest
    found = store.identity(digest)
    assert found == Identity(**{**vars(WHOLE), "assumed": ()})
    assert store.checkpoint(digest)["names"] == ["start", "again"]
    store.add_checkpoint(RECORD, Identity(cleaning="as-is"))
    assert store.identity(digest) == found


def test_a_store_that_is_copied_keeps_it(make_store, tmp_path):
    store, other = make_store(3), create_store(tmp_path / "other.zarr")
    digest = store.add_checkpoint(RECORD, WHOLE)
    copy_checkpoint(store, other, digest)
    assert other.identity(digest) == WHOLE
    assert other.checkpoint(digest) == store.checkpoint(digest)


@pytest.mark.parametrize("damage", ["video", "entries", "field"])
def test_a_damaged_record_is_one_line_and_verify_names_it(make_store, damage, capsys):
    store = make_store(3)
    digest = store.add_checkpoint(RECORD, WHOLE)
    place = store.path / "checkpoints" / digest
    path = place / "zarr.json" if damage == "field" else place / "tuned_on" / "zarr.json"
    text = path.read_text()
    if damage == "video":
        encoded = WHOLE.as_json()["tuned_on"][0]["videos"]
        path.write_text(text.replace(encoded, "AAAA" + encoded[4:]))
    elif damage == "entries":
        path.write_text(text.replace('"entries"', '"other"'))
    else:
        path.write_text(text.replace('"words"', '"wards"'))
    with pytest.raises(DamagedError, match="does not say what it was trained with"):
        store.identity(digest)
    capsys.readouterr()
    assert run(["verify", str(store.path)]) == 1
    assert f"checkpoints/{digest}" in capsys.readouterr().out


def test_what_is_stated_twice_and_differs_is_told(tmp_path, caplog):
    backend = create_store(tmp_path / "s.zarr").backend
    pixels = {"family": "openclip", "size": 224, "mean": [0.1, 0.2, 0.3]}
    stated = Identity(preprocessing=pixels, templates=("a {}",), cleaning="as-is")
    digest = register_checkpoint(backend, RECORD, stated)
    guess = Identity(preprocessing={**pixels, "size": 336}, assumed=("preprocessing",))
    fewer = Identity(preprocessing={"family": "openclip"})
    for same in (stated, Identity(), guess, fewer):
        register_checkpoint(backend, RECORD, same)
    assert caplog.messages == []
    other = Identity(preprocessing={**pixels, "mean": [0, 0, 0]}, templates=("b {}",))
    register_checkpoint(backend, RECORD, other)
    (line,) = caplog.messages
    assert "as trained with another preprocessing, templates than its file says now" in line
    assert read_identity(backend, digest) == stated


def test_what_nobody_states_stays_assumed():
    pixels = {"family": "openclip", "size": 224}
    guess = Identity(preprocessing=pixels, assumed=("preprocessing", "activation"))
    stated = Identity(preprocessing={**pixels, "size": 336})
    for first, second in ((Identity(), guess), (guess, Identity()), (guess, guess)):
        assert first.completed(second).assumed == ("preprocessing", "activation")
    for first, second in ((stated, guess), (guess, stated)):
        assert first.completed(second) == stated


def test_templates_that_differ_at_their_ends_alone_are_told_apart():
    long = "a video in which someone can be seen from a long way off, {}"
    identity = Identity(templates=(f"{long} indoors",))
    said = differences(identity, templates=[f"{long} outdoors"])["template"]
    assert f"“{long} outdoors”" in said
    assert f"“{long} indoors”" in said
