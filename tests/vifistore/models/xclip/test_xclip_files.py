"""X-CLIP's files of others and ours: every tensor in its place, sizes from the tensors."""

import json
from argparse import Namespace
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from tests.vifistore.models.tiny_models import register
from tests.vifistore.models.xclip.restated import to_videox
from tests.vifistore.models.xclip.test_xclip_modules import CLIP, SIZES, theirs, unlike, xclip
from vifi.__main__ import run
from vifistore.errors import ModelError
from vifistore.models.checkpoint_files import read_header
from vifistore.models.openclip_files import write_openclip
from vifistore.models.towers import load_model
from vifistore.models.xclip.xclip_modules import XClipSizes
from vifistore.store.feature_record import PATCH_TOKENS

DEFAULT = replace(SIZES, heads=0)


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory):
    register(tmp_path_factory.mktemp("configs"))


def released(tmp_path, sizes: XClipSizes = DEFAULT):
    """A file as VideoX's training saves it, and the model in it."""
    clip = xclip(sizes)
    content = {
        "model": to_videox(clip.state_dict()),
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": []},
        "lr_scheduler": {"base_values": [1.0]},
        "max_accuracy": 50.0,
        "epoch": 3,
        "config": Namespace(EPOCHS=3),
    }
    path = tmp_path / "k400_32_8.pth"
    torch.save(content, path)
    return path, clip


def same(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_released_files_are_read(tmp_path):
    path, clip = released(tmp_path)
    loaded = load_model(CLIP, str(path))
    assert same(loaded.clip.state_dict(), clip.state_dict())
    assert (loaded.kind, loaded.num_frames, loaded.num_outputs) == ("clip", 3, 1)
    assert loaded.texts_depend_on_video
    assert loaded.further == {}
    assert loaded.optional[PATCH_TOKENS].lengths == (16, 24)
    identity = loaded.identity
    assert identity.preprocessing["family"] == "paper"
    assert (identity.templates, identity.cleaning) == (("{}",), "as-is")
    assert identity.frames == 3
    with torch.inference_mode():
        found = loaded.image_tower(unlike(2, 3, 3, 32, 32))
    assert found["frames"].shape == (2, 24)
    assert found[PATCH_TOKENS].shape == (2, 16, 24)


def test_ours_say_what_they_are(tmp_path):
    path, _ = released(tmp_path)
    loaded = load_model(CLIP, str(path))
    out = tmp_path / "ours.safetensors"
    write_openclip(out, loaded)
    header = read_header(out)
    assert header is not None
    assert header.system == {"name": "x-clip", "frames": 3, "mit_layers": 2, "prompt_layers": 2}
    again = load_model(CLIP, str(out))
    assert (again.digest, again.image_digest) == (loaded.digest, loaded.image_digest)
    assert again.identity == loaded.identity
    assert same(again.clip.state_dict(), loaded.clip.state_dict())


def test_a_file_is_converted_by_its_verb(tmp_path, capsys):
    path, _ = released(tmp_path)
    out = tmp_path / "ours.safetensors"
    assert run(["convert", str(path), str(out), "--model", CLIP]) == 0
    assert "is for vifi alone" in capsys.readouterr().err
    assert read_header(out).system["name"] == "x-clip"
    assert run(["convert", str(path), str(tmp_path / "o.pt"), "--model", CLIP]) == 2
    assert "modules of x-clip, which OpenCLIP cannot use" in capsys.readouterr().err


def test_tensors_alone_are_known(tmp_path):
    _, clip = released(tmp_path)
    save_file(dict(clip.state_dict()), tmp_path / "bare.safetensors")
    loaded = load_model(CLIP, str(tmp_path / "bare.safetensors"))
    assert loaded.num_frames == 3
    assert same(loaded.clip.state_dict(), clip.state_dict())


def save_hugging_face(tmp_path, model, **changed):
    path = tmp_path / "hf" / "model.safetensors"
    model.save_pretrained(path.parent)
    config = json.loads((path.parent / "config.json").read_text())
    config["vision_config"].update(changed)
    (path.parent / "config.json").write_text(json.dumps(config))
    return path


def test_files_of_transformers_give_what_transformers_gives(tmp_path):
    model = theirs()
    loaded = load_model(CLIP, str(save_hugging_face(tmp_path, model)))
    assert loaded.identity.preprocessing["family"] == "paper"
    pixels, tokens = unlike(2, 3, 3, 32, 32), torch.randint(1, 49000, (5, 16))
    tokens[:, 10] = 49407
    with torch.inference_mode():
        wanted = model(pixel_values=pixels, input_ids=tokens).logits_per_video
        found = loaded.image_tower(pixels)
        texts = loaded.clip.encode_text(tokens)[:, None]
        cosines = loaded.video_texts.cosines(found["frames"], found[PATCH_TOKENS], texts)
        assert (cosines - wanted / model.logit_scale.exp()).abs().max() < 1e-4
    assert loaded.logit_scale == pytest.approx(float(model.logit_scale.detach().exp()))


def test_other_activations_and_heads_of_transformers_are_refused(tmp_path):
    path = save_hugging_face(tmp_path, theirs(), hidden_act="gelu")
    with pytest.raises(ModelError, match=r"X-CLIP's weights in model.* were trained with GELU"):
        load_model(CLIP, str(path))
    path = save_hugging_face(tmp_path, theirs(), mit_num_attention_heads=2)
    with pytest.raises(ModelError, match=r"has \['2', '4'\] heads in its two added parts"):
        load_model(CLIP, str(path))


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ("prompts_generator.alpha", r"lacks 1 tensors: added\.alpha"),
        ("visual.transformer.resblocks.0.message_fc.bias", r"lacks 1 tensors: visual\.added"),
        ("mit.positional_embedding", r"holds some of X-CLIP's tensors and lacks others"),
    ],
)
def test_what_is_missing_is_told(tmp_path, lost, words):
    path, _ = released(tmp_path)
    content = torch.load(path, weights_only=False)
    del content["model"][lost]
    torch.save(content, path)
    with pytest.raises(ModelError, match=words) as caught:
        load_model(CLIP, str(path))
    assert len(str(caught.value)) < 400
