"""A run's folder in the place of its weights."""

import json

import pytest

from vifistore.errors import ModelError
from vifistore.models.run_weights import weights_file


def test_of_a_run_that_is_done_it_is_the_last_checkpoint(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    names = ["blend-0.5-step-00000012.safetensors", "step-00000002.safetensors"]
    names.append("step-00000012.safetensors")
    with pytest.raises(ModelError, match="not done"):
        weights_file(tmp_path)
    (tmp_path / "finished.json").write_text(json.dumps({"step": 12, "checkpoints": names}))
    with pytest.raises(ModelError, match="holds no checkpoint"):
        weights_file(tmp_path)
    (tmp_path / names[-1]).touch()
    assert weights_file(tmp_path) == tmp_path / names[-1]


@pytest.mark.parametrize("content", ["[]", "{", '{"checkpoints": [3, "../step-1"]}', "{}"])
def test_what_is_written_there_is_not_trusted(tmp_path, content):
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "finished.json").write_text(content)
    with pytest.raises(ModelError):
        weights_file(tmp_path)


def test_other_paths_are_themselves(tmp_path):
    assert weights_file(tmp_path) == tmp_path
    assert weights_file(tmp_path / "a.pt") == tmp_path / "a.pt"
