"""CLIP and SigLIP of transformers: every tensor finds its place, and the outputs are the same."""

import json
import re

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.vifistore.models.tiny_models import register
from vifistore.errors import ModelError
from vifistore.models.huggingface import from_hugging_face
from vifistore.models.skeletons import new_model
from vifistore.models.towers import load_model

CLIP, SIGLIP = "vifi-test-clip", "vifi-test-siglip"


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory):
    register(tmp_path_factory.mktemp("configs"))


def numbered(model: str) -> dict[str, Tensor]:
    """The model's tensors, no two numbers of them alike."""
    state, count = {}, 0
    for key, value in new_model(model, 0).state_dict().items():
        state[key] = torch.arange(count, count + value.numel()).reshape(value.shape).double()
        count += value.numel()
    return state


# OpenCLIP's own words, in turn, for those of transformers.
_BLOCK = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.out_proj": "self_attn.out_proj"}
_BLOCK |= {"mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
_TRUNK = {"norm1": "layer_norm1", "norm2": "layer_norm2", "attn.proj": "self_attn.out_proj"}
_PLACES = {
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.": "text_model.final_layer_norm.",
    "text_projection.": "text_model.head.",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.": "vision_model.embeddings.patch_embedding.",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.ln_pre.": "vision_model.pre_layrnorm.",
    "visual.ln_post.": "vision_model.post_layernorm.",
    "visual.trunk.patch_embed.proj.": "vision_model.embeddings.patch_embedding.",
    "visual.trunk.norm.": "vision_model.post_layernorm.",
    "visual.trunk.attn_pool.latent": "vision_model.head.probe",
    "visual.trunk.attn_pool.proj.": "vision_model.head.attention.out_proj.",
    "visual.trunk.attn_pool.norm.": "vision_model.head.layernorm.",
    "visual.trunk.attn_pool.mlp.": "vision_model.head.mlp.",
}


def to_hugging_face(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What transformers would call the tensors of an OpenCLIP model."""
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        key = key.removeprefix("text.")
        if match := re.fullmatch(r"(visual\.)?(?:transformer\.resblocks|trunk\.blocks)\.(.+)", key):
            _block(found, "vision" if match[1] else "text", match[2], value)
        elif key == "text_projection":
            found["text_projection.weight"] = value.T
        elif key == "visual.proj":
            found["visual_projection.weight"] = value.T
        elif key == "visual.trunk.pos_embed":
            found["vision_model.embeddings.position_embedding.weight"] = value[0]
        else:
            place = next((place for place in _PLACES if key.startswith(place)), "")
            found[_PLACES[place] + key.removeprefix(place) if place else key] = value
    for kind in ("weight", "bias"):
        if f"visual.trunk.attn_pool.q.{kind}" in found:
            parts = [found.pop(f"visual.trunk.attn_pool.{name}.{kind}") for name in ("q", "kv")]
            found[f"vision_model.head.attention.in_proj_{kind}"] = torch.cat(parts)
    return found


def _block(found: dict, tower: str, rest: str, value: Tensor) -> None:
    layer, _, name = rest.partition(".")
    block = f"{tower}_model.encoder.layers.{layer}"
    if match := re.fullmatch(r"attn\.(?:in_proj_|qkv\.)(weight|bias)", name):
        for part, third in zip("qkv", value.chunk(3), strict=True):
            found[f"{block}.self_attn.{part}_proj.{match[1]}"] = third
        return
    name, _, kind = name.rpartition(".")
    found[f"{block}.{_BLOCK.get(name) or _TRUNK.get(name) or name}.{kind}"] = value


@pytest.mark.parametrize("model", [CLIP, SIGLIP])
def test_every_tensor_finds_its_place(model):
    state = numbered(model)
    theirs = to_hugging_face(state)
    assert not any(key.startswith(("visual.", "transformer.", "text.")) for key in theirs)
    # Older versions keep them.
    theirs["text_model.embeddings.position_ids"] = torch.arange(16)[None]
    found = from_hugging_face(theirs)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)


def save(tmp_path, state: dict, suffix: str, act: str | None):
    path = tmp_path / f"model.{suffix}"
    if suffix == "safetensors":
        save_file({key: value.contiguous() for key, value in state.items()}, path)
    else:
        torch.save(state, path)
    if act:
        config = {"model_type": "clip", "vision_config": {"hidden_act": act}}
        (tmp_path / "config.json").write_text(json.dumps(config))
    return str(path)


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
@pytest.mark.parametrize("prefix", ["", "clip."])
def test_files_of_transformers_load(tmp_path, suffix, prefix):
    state = new_model(CLIP, 4).state_dict()
    theirs = {prefix + key: value for key, value in to_hugging_face(state).items()}
    found = load_model(CLIP, save(tmp_path, theirs, suffix, "quick_gelu")).clip.state_dict()
    assert all(torch.equal(found[key], state[key]) for key in state)


def test_the_activation_is_that_of_the_config_beside_the_file(tmp_path):
    theirs = to_hugging_face(new_model(CLIP, 4).state_dict())
    with pytest.raises(ModelError, match=r"Hugging Face's weights .* were trained with GELU"):
        load_model(CLIP, save(tmp_path, theirs, "bin", "gelu"))
    # The default of transformers, which its configs of OpenAI's models leave out.
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    load_model(CLIP, save(tmp_path, theirs, "bin", None))


@pytest.mark.parametrize("broken", ["key", "layer"])
def test_what_is_missing_or_unknown_is_refused(tmp_path, broken):
    theirs = to_hugging_face(new_model(CLIP, 4).state_dict())
    if broken == "key":
        del theirs["vision_model.encoder.layers.1.self_attn.k_proj.weight"]
    else:
        theirs["vision_model.encoder.layers.1.message.weight"] = torch.zeros(2)
    words = {"key": r"also has 2 tensors: vision_model.*q_proj", "layer": "also has 1 .*message"}
    with pytest.raises(ModelError, match=words[broken]) as caught:
        load_model(CLIP, save(tmp_path, theirs, "bin", "quick_gelu"))
    assert len(str(caught.value)) <= 400


def outputs(found) -> Tensor:
    """Of transformers before and from version 5."""
    return found if isinstance(found, Tensor) else found.pooler_output


def randomise(theirs: torch.nn.Module) -> None:
    torch.manual_seed(0)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)


def same_outputs(theirs, path: str, model: str, tokens: Tensor) -> None:
    ours = load_model(model, path).clip
    pixels = torch.randn(3, 3, 32, 32)
    with torch.inference_mode():
        images = outputs(theirs.eval().get_image_features(pixels))
        texts = outputs(theirs.get_text_features(input_ids=tokens))
        assert torch.allclose(ours.visual(pixels), images, atol=1e-5)
        assert torch.allclose(ours.encode_text(tokens), texts, atol=1e-5)


def test_clip_gives_what_transformers_gives(tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    tower = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 32}
    tower |= {"intermediate_size": 128, "projection_dim": 24}
    config = transformers.CLIPConfig(
        projection_dim=24,
        text_config={**tower, "vocab_size": 49408, "max_position_embeddings": 16},
        vision_config={**tower, "image_size": 32, "patch_size": 8},
    )
    theirs = transformers.CLIPModel(config)
    randomise(theirs)
    theirs.save_pretrained(tmp_path)
    tokens = torch.randint(1, 49000, (4, 16))
    tokens[:, 10] = 49407
    same_outputs(theirs, str(tmp_path / "model.safetensors"), CLIP, tokens)


def test_siglip_gives_what_transformers_gives(tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    tower = {"num_attention_heads": 4, "hidden_size": 48, "intermediate_size": 192}
    text = {"vocab_size": 200, "max_position_embeddings": 12, "projection_size": 48}
    # Its defaults lie beyond so small a vocabulary.
    text |= {"bos_token_id": 0, "eos_token_id": 1}
    config = transformers.SiglipConfig(
        text_config={**tower, **text, "num_hidden_layers": 2},
        vision_config={**tower, "num_hidden_layers": 3, "image_size": 32, "patch_size": 8},
    )
    theirs = transformers.SiglipModel(config)
    randomise(theirs)
    theirs.save_pretrained(tmp_path)
    tokens = torch.randint(2, 199, (4, 12))
    same_outputs(theirs, str(tmp_path / "model.safetensors"), SIGLIP, tokens)
