"""What `vifi info` says of text embeddings: each of a few, of many how many there are."""

import json

import numpy as np
import pytest

from vifi.__main__ import run
from vifistore.store.store import create_store


@pytest.fixture
def told(tmp_path, capsys):
    """What a call says of a store with so many sets of texts, of two towers."""

    def call(count, *flags):
        store = create_store(tmp_path / "S.zarr")
        for number in range(count):
            fields = {"text_digest": f"tower{number % 2}", "logit_scale": 1.0, "context_length": 8}
            fields["precision"] = "fp32"
            fields |= {
                "class_names": ["a", "b"],
                "templates": [f"{n} {number} {{}}" for n in "wxyz"],
            }
            store.add_texts(fields, np.ones((2, 4, 8), np.float32))
        assert run(["info", str(tmp_path / "S.zarr"), *flags]) == 0
        return capsys.readouterr().out

    return call


def test_a_few_are_listed(told):
    lines = told(8).splitlines()
    assert len(lines) == 8
    assert all("2 classes, w " in line and line.endswith(" and 1 more") for line in lines)


def test_many_are_counted_and_the_command_lists_them(told, tmp_path):
    (line,) = told(9).splitlines()
    command = f"vifi info {tmp_path / 'S.zarr'} --texts"
    assert line == f"texts: 9 sets of 2 text towers; list them with: {command}"
    assert len(told(9, "--texts").splitlines()) == 9
    assert len(json.loads(told(9, "--texts", "--json"))) == 9


def test_one_thing_is_printed(told, tmp_path, capsys):
    told(1)
    assert run(["info", str(tmp_path / "S.zarr"), "--texts", "--quarantine"]) == 2
    assert "print one thing each; give one" in capsys.readouterr().err
