"""The file of a head says what it is, and anything else is refused."""

import errno
import json
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import save_file

from vifistore.errors import ModelError
from vifistore.models.actionclip.temporal_transformer import PoolingShape
from vifistore.training.heads.head_files import (
    HeadHeader,
    PromptsShape,
    load_head,
    new_head,
    save_head,
)

HEADER = HeadHeader(
    kind="a5",
    pooling=PoolingShape(dim=8, num_frames=3, layers=1),
    prompts=PromptsShape(num_each_side=2, context_length=9, width=6),
    image_digest="i",
    text_digest="t",
    parent="p",
    settings={"seed": 0},
    trained_on={"split": "train"},
    step=5,
)


def test_there_and_back(tmp_path):
    head = new_head(HEADER)
    save_head(tmp_path / "new" / "h.safetensors", head)
    loaded = load_head(tmp_path / "new" / "h.safetensors")
    assert loaded.header == HEADER
    assert loaded.digest == head.digest
    assert loaded.text_digest == head.text_digest
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["h.safetensors"]


def test_a_disk_that_fails_leaves_the_old_head_and_no_other_file(tmp_path, monkeypatch):
    path, head = tmp_path / "h.safetensors", new_head(HEADER)
    save_head(path, head)

    def fails(_: object) -> None:
        raise OSError(errno.EIO, "the disk does not answer")

    monkeypatch.setattr("vifistore.store.key_value.durable._fsync", fails)
    with pytest.raises(OSError, match="does not answer"):
        save_head(path, new_head(HEADER))
    assert list(tmp_path.iterdir()) == [path]
    assert load_head(path).digest == head.digest


def test_digests_tell_what_changed():
    first, second = new_head(HEADER), new_head(HEADER)
    second.modules.load_state_dict(first.modules.state_dict())
    assert first.digest == second.digest
    second.prompts.vectors.data[1] += 1
    assert first.digest == second.digest
    assert first.text_digest != second.text_digest
    second.pooling.positions.data[1] += 1
    assert first.digest != second.digest
    other = replace(HEADER, kind="actionclip-transf", prompts=None)
    assert new_head(other).text_digest == "t"
    assert new_head(other).image_digest != "i"


def test_what_a_later_version_says_is_left_alone_and_an_older_one_leaves_out(tmp_path):
    path, said = tmp_path / "h.safetensors", asdict(HEADER)
    _write(path, json.dumps({**said, "later": 1}))
    assert load_head(path).header == HEADER
    del said["identity"]
    _write(path, json.dumps(said))
    assert load_head(path).header == HEADER


def _write(path, header, weights=None):
    weights = new_head(HEADER).modules.state_dict() if weights is None else weights
    metadata = {"vifistore-head": header} if header else {}
    save_file({k: v.clone() for k, v in weights.items()}, path, metadata=metadata)


def test_what_is_no_head_is_refused(tmp_path):
    path, said = tmp_path / "h.safetensors", asdict(HEADER)
    state = new_head(HEADER).modules.state_dict()
    huge = {**said, "pooling": {"dim": 2**20, "num_frames": 2**20, "layers": 1}}
    damaged = state | {"pooling.positions": torch.full((3, 8), torch.nan)}
    for header, weights, words in [
        ("", None, "holds no head"),
        ("{", None, "cannot be read"),
        ("[]", None, "cannot be read"),
        (json.dumps({**said, "kind": "b6"}), None, "b6"),
        (json.dumps({**said, "identity": {"tuned_on": "d"}}), None, "its tuned_on is not as"),
        (json.dumps({**said, "identity": []}), None, "identity is no JSON object"),
        (json.dumps(huge), None, "does not hold the tensors"),
        (json.dumps({**said, "pooling": {**said["pooling"], "layers": 10**9}}), None, "layers is"),
        (json.dumps({**said, "pooling": {**said["pooling"], "dim": "8"}}), None, "dim is '8'"),
        (json.dumps({**said, "pooling": {**said["pooling"], "dim": 2**70}}), None, "dim is"),
        (json.dumps({**said, "pooling": {**said["pooling"], "dim": 200}}), None, "200 dimensions"),
        (json.dumps({**said, "step": 1.5}), None, "step is 1.5"),
        (json.dumps({**said, "parent": None}), None, "parent is no text"),
        (json.dumps({**said, "settings": []}), None, "settings is no JSON object"),
        (json.dumps({**said, "prompts": None}), None, "belong to a5"),
        (json.dumps({**said, "kind": []}), None, "is unknown"),
        (json.dumps(said), {k: v.half() for k, v in state.items()}, "not as float32"),
        (json.dumps(said), {"pooling.positions": torch.zeros(1)}, "does not hold the tensors"),
        (json.dumps(said), damaged, "not finite"),
    ]:
        _write(path, header, weights)
        with pytest.raises(ModelError, match=words) as refused:
            load_head(path)
        assert "\n" not in str(refused.value)
    path.write_bytes(b"torn")
    with pytest.raises(ModelError, match="no readable safetensors"):
        load_head(path)
    with pytest.raises(ModelError, match="there is no head"):
        load_head(tmp_path / "nothing.safetensors")
