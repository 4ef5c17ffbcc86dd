"""X-CLIPs of transformers by `hf:FOLDER`: our own modules, under the folder's name."""

import json

import pytest
import torch

from tests.vifistore.models.tiny_models import register
from tests.vifistore.models.xclip.test_xclip_modules import CLIP, theirs
from vifistore.errors import ModelError, UsageError
from vifistore.models.hf import hf_xclip
from vifistore.models.towers import load_model


@pytest.fixture
def folder(tmp_path_factory, tmp_path, monkeypatch):
    register(tmp_path_factory.mktemp("configs"))
    model = theirs()
    model.save_pretrained(tmp_path / "xclip-tiny")
    vision = model.config.vision_config
    sizes = (vision.patch_size, vision.hidden_size, vision.image_size)
    monkeypatch.setitem(hf_xclip._MODELS, sizes, CLIP)
    return tmp_path / "xclip-tiny"


def test_it_is_what_its_file_is(folder):
    found, direct = load_model(f"hf:{folder}", ""), load_model(CLIP, f"{folder}/model.safetensors")
    assert (found.digest, found.model, found.kind) == (direct.digest, CLIP, "clip")
    assert (found.name, found.texts_depend_on_video) == ("xclip-tiny", True)
    assert load_model(found.model, found.weights_path).digest == found.digest
    pixels = torch.rand(1, found.num_frames, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(
            found.image_tower(pixels)["frames"], direct.image_tower(pixels)["frames"]
        )


def test_what_is_refused(folder):
    with pytest.raises(UsageError, match="has no random weights here"):
        load_model(f"hf:{folder}", "none")
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["patch_size"] = 7
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="which no model of OpenCLIP has") as caught:
        load_model(f"hf:{folder}", "")
    assert len(str(caught.value)) <= 400
