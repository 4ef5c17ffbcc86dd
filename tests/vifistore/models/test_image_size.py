"""Pictures of another size: positional embeddings are resized where that is asked for."""

import json

import pytest
import torch

from tests.vifistore.models.tiny_models import register
from vifistore.errors import ModelError, UsageError
from vifistore.models.checkpoint_files import CheckpointHeader, read_header, save_checkpoint
from vifistore.models.load_settings import WeightsSettings
from vifistore.models.openclip_files import write_openclip
from vifistore.models.registry import model_config, open_clip
from vifistore.models.skeletons import new_model
from vifistore.models.towers import load_model

TINY, SIGLIP, RESNET = "vifi-tiny", "vifi-test-siglip", "vifi-test-resnet"


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("configs")
    register(folder)
    vision = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None}
    text = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    config = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}
    (folder / f"{RESNET}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)


def weights(size: int) -> WeightsSettings:
    return WeightsSettings(image_size=size)


@pytest.fixture(params=[TINY, SIGLIP, "vifi-test-timm"])
def saved(request, tmp_path):
    """A model's name, and a file of its weights."""
    torch.save(new_model(request.param, 3).state_dict(), tmp_path / "a.pt")
    return request.param, str(tmp_path / "a.pt")


@pytest.mark.parametrize("size", [48, 16])
def test_a_resized_tower_is_that_of_openclip(saved, size):
    model, path = saved
    found = load_model(model, path, weights=weights(size))
    theirs = open_clip.create_model(model, pretrained=path, force_image_size=size).eval()
    pixels = torch.randn(2, 3, size, size)
    with torch.inference_mode():
        assert torch.allclose(found.clip.visual(pixels), theirs.visual(pixels), atol=1e-5)
    assert found.image_size == (size, size)
    assert found.config["vision_cfg"]["image_size"] == size


def test_the_size_is_part_of_the_image_tower_alone(saved):
    model, path = saved
    plain, same, larger = (load_model(model, path, weights=weights(n)) for n in (0, 32, 48))
    assert same.digest == plain.digest
    assert larger.image_digest != plain.image_digest
    assert larger.text_digest == plain.text_digest


def test_weights_of_another_size_name_the_flag_and_take_it(saved, tmp_path):
    model, path = saved
    larger = load_model(model, path, weights=weights(48))
    torch.save(larger.clip.state_dict(), tmp_path / "large.pt")
    words = (
        rf"was made for pictures of 48 x 48, and {model} takes 32 x 32: --image-size 48 uses it as "
        "it is, --image-size 32 resizes"
    )
    with pytest.raises(ModelError, match=words):
        load_model(model, str(tmp_path / "large.pt"))
    as_it_is = load_model(model, str(tmp_path / "large.pt"), weights=weights(48))
    assert as_it_is.digest == larger.digest
    back = load_model(model, str(tmp_path / "large.pt"), weights=weights(32))
    assert back.config == model_config(model)


def test_checkpoints_of_ours_know_their_size(saved, tmp_path):
    model, path = saved
    larger = load_model(model, path, weights=weights(48))
    own = tmp_path / "own.safetensors"
    write_openclip(own, larger)
    found = load_model(model, str(own))
    assert (found.digest, found.config) == (larger.digest, larger.config)
    assert load_model(model, str(own), weights=weights(48)).digest == larger.digest
    assert load_model(model, str(own), weights=weights(32)).image_size == (32, 32)
    assert read_header(own).config["vision_cfg"]["image_size"] == 48


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (48, "pictures of 32 x 32, and vifi-tiny takes 48 x 48"),
        (1_000_000, "another architecture"),
        ("48", "another architecture"),
    ],
)
def test_a_header_that_lies_about_its_size_is_refused(tmp_path, size, words):
    config = model_config(TINY)
    config["vision_cfg"]["image_size"] = size
    header = CheckpointHeader(model=TINY, config=config, name="x", step=0, parent="", settings={})
    save_checkpoint(tmp_path / "a.safetensors", new_model(TINY, 0).state_dict(), header)
    with pytest.raises(ModelError, match=words):
        load_model(TINY, str(tmp_path / "a.safetensors"))


def test_a_model_of_just_that_size_is_the_better_remedy(tmp_path):
    (tmp_path / "configs").mkdir()
    config = model_config(TINY)
    config["vision_cfg"]["image_size"] = 40
    (tmp_path / "configs" / "vifi-tiny-40.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "configs")
    torch.save(new_model("vifi-tiny-40", 0).state_dict(), tmp_path / "a.pt")
    with pytest.raises(ModelError, match="its tensors are those of vifi-tiny-40; use --model vifi"):
        load_model(TINY, str(tmp_path / "a.pt"))


def test_the_attention_pool_of_a_resnet_is_resized(tmp_path):
    torch.save(new_model(RESNET, 0).state_dict(), tmp_path / "a.pt")
    found = load_model(RESNET, str(tmp_path / "a.pt"), weights=weights(128))
    assert len(found.clip.visual.attnpool.positional_embedding) == 4 * 4 + 1
    with torch.inference_mode():
        assert found.clip.visual(torch.zeros(1, 3, 128, 128)).shape == (1, 24)


def test_random_weights_have_a_size_too():
    assert load_model(TINY, "none", weights=weights(48)).image_size == (48, 48)


@pytest.mark.parametrize("size", [-1, 4096])
def test_sizes_that_nobody_means_are_refused(size):
    with pytest.raises(UsageError, match="give pixels, at most 2048"):
        weights(size)


def test_a_tower_that_cannot_take_the_size_says_so(tmp_path):
    with pytest.raises(ModelError, match="cannot take pictures of 4 x 4"):
        load_model(TINY, "none", weights=weights(4))
