"""X-CLIP's modules compute what is published: held against a plain restatement and against
transformers' own model on the same weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.vifistore.models.tiny_models import register
from tests.vifistore.models.xclip.restated import Restated, cosines, to_videox
from vifistore.errors import ModelError
from vifistore.models import torchvision_operators
from vifistore.models.huggingface import from_hugging_face
from vifistore.models.registry import model_config
from vifistore.models.skeletons import make_model, new_model
from vifistore.models.xclip.video_prompts import XClipVideoTexts
from vifistore.models.xclip.xclip_modules import (
    XClipSizes,
    XClipTower,
    attach_xclip,
    sizes_of,
    video_prompts,
    video_side,
)
from vifistore.models.xclip.xclip_names import from_videox, split_hugging_face
from vifistore.store.feature_record import PATCH_TOKENS

CLIP = "vifi-test-clip"
SIZES = XClipSizes(frames=3, mit_layers=2, prompt_layers=2, heads=4)


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory):
    register(tmp_path_factory.mktemp("configs"))


def random_weights(module: nn.Module, seed: int) -> None:
    """Every weight random: those of layers that begin at one or zero too."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            spread = 2 * weight.shape[-1] ** -0.5 if weight.ndim > 1 else 0.5
            weight.copy_(torch.randn(weight.shape, generator=random) * spread)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def unlike(*shape: int) -> Tensor:
    """Pixels of videos of which none looks like another."""
    level = torch.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1)) * 2.0
    return torch.randn(shape) * (level + 1) + level


def xclip(sizes: XClipSizes = SIZES):
    clip = new_model(CLIP, 0)
    attach_xclip(clip, sizes.as_system())
    random_weights(clip, 1)
    return clip.eval()


def run(clip, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Embeddings and patch tokens."""
    found = XClipTower(clip.visual)(pixels)
    return found["frames"], found[PATCH_TOKENS]


@torch.inference_mode()
def test_it_computes_the_published_formulas():
    clip = xclip()
    pixels, texts = unlike(2, 3, 3, 32, 32), torch.randn(5, 24)
    weights = {k: v.double().numpy() for k, v in to_videox(clip.state_dict()).items()}
    plain = Restated(weights, image_heads=2, heads=4)
    videos, patches = run(clip, pixels)
    found = video_prompts(clip).cosines(videos, patches, texts[:, None])
    assert found.shape == (2, 5)
    for number in range(2):
        video, tokens = plain.video(pixels[number].double().numpy())
        followed = plain.texts(texts.double().numpy(), tokens)
        assert np.allclose(videos[number], video, atol=1e-4)
        assert np.allclose(patches[number], tokens, atol=1e-4)
        assert np.allclose(found[number], cosines(followed, video), atol=1e-5)
    # They do depend on the video, or the test would show nothing of prompts.
    assert (found[0] - found[1]).abs().max() > 0.005


@torch.inference_mode()
def test_views_do_not_see_one_another():
    clip = xclip()
    pixels, texts = unlike(3, 3, 3, 32, 32), torch.randn(4, 24)
    alone = [run(clip, each[None]) for each in pixels]
    videos, patches = run(clip, pixels)
    assert torch.allclose(videos, torch.cat([v for v, _ in alone]), atol=1e-5)
    assert torch.allclose(patches, torch.cat([p for _, p in alone]), atol=1e-5)
    together = video_prompts(clip).cosines(videos, patches, texts[:, None])
    each = [video_prompts(clip).cosines(v, p, texts[:, None]) for v, p in alone]
    assert torch.allclose(together, torch.cat(each), atol=1e-6)


@torch.inference_mode()
def test_prompts_of_a_class_are_averaged_as_they_follow_the_view():
    clip = xclip()
    videos, patches = run(clip, unlike(2, 3, 3, 32, 32))
    texts = torch.randn(5, 3, 24)
    prompts = video_prompts(clip)
    each = [nn.functional.normalize(prompts(texts[:, p], patches), dim=-1) for p in range(3)]
    mean = nn.functional.normalize(sum(each), dim=-1)
    expected = (mean * nn.functional.normalize(videos, dim=-1)[:, None]).sum(-1)
    assert torch.allclose(prompts.cosines(videos, patches, texts), expected, atol=1e-6)
    alone = XClipVideoTexts(prompts).to("cpu").cosines(videos, patches, texts)
    assert torch.allclose(alone, expected, atol=1e-6)


def theirs(seed: int = 0):
    """transformers' X-CLIP in the sizes of the tiny one, with random weights."""
    torchvision_operators.prepare()
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    tower = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 32}
    tower |= {"intermediate_size": 128}
    mit = {"mit_hidden_size": 24, "mit_intermediate_size": 96, "mit_num_hidden_layers": 2}
    config = transformers.XCLIPConfig(
        text_config={**tower, "vocab_size": 49408, "max_position_embeddings": 16},
        vision_config={**tower, **mit, "mit_num_attention_heads": 4, "num_frames": 3}
        | {"image_size": 32, "patch_size": 8},
        projection_dim=24,
        prompt_layers=2,
        prompt_num_attention_heads=4,
    )
    model = transformers.XCLIPModel(config).eval()
    random_weights(model, seed)
    return model


def ours_of(model):
    """Our model with the weights of transformers'."""
    clip_state, added_state = split_hugging_face(model.state_dict())
    clip = xclip()
    clip.load_state_dict(from_hugging_face(clip_state) | added_state)
    return clip


@torch.inference_mode()
def test_it_computes_what_transformers_computes():
    model = theirs()
    clip = ours_of(model)
    pixels = unlike(2, 3, 3, 32, 32)
    tokens = torch.randint(1, 49000, (5, 16))
    tokens[:, 10] = 49407
    wanted = model(pixel_values=pixels, input_ids=tokens)
    texts = clip.encode_text(tokens)
    videos, patches = run(clip, pixels)
    unit_videos = nn.functional.normalize(videos, dim=-1)
    unit_texts = nn.functional.normalize(video_prompts(clip)(texts, patches), dim=-1)
    found = video_prompts(clip).cosines(videos, patches, texts[:, None])
    assert torch.allclose(unit_videos, wanted.video_embeds, atol=1e-5)
    assert torch.allclose(unit_texts, wanted.text_embeds, atol=1e-5)
    scale = model.logit_scale.exp()
    assert (found - wanted.logits_per_video / scale).abs().max() < 1e-4
    assert torch.allclose(found * clip.logit_scale.exp(), wanted.logits_per_video, atol=1e-3)


def test_names_of_videox_lead_back():
    own = xclip().state_dict()
    there = to_videox(own)
    assert {"mit.positional_embedding", "prompts_generator.alpha"} < there.keys()
    assert "visual.transformer.resblocks.1.message_attn.in_proj_weight" in there
    assert not any("added." in key for key in there)
    assert from_videox(there).keys() == own.keys()
    assert all(torch.equal(value, own[key]) for key, value in from_videox(there).items())


def test_sizes_are_those_of_the_tensors():
    assert sizes_of(xclip().state_dict()) == replace(SIZES, heads=0)
    clip = new_model(CLIP, 0)
    with pytest.raises(ModelError, match=r"header says X-CLIP of .*'frames': 4.*tensors are of"):
        attach_xclip(clip, replace(SIZES, frames=4).as_system(), xclip().state_dict())
    assert not hasattr(clip, "added")
    with pytest.raises(ModelError, match="gives X-CLIP 'layers', which this vifistore"):
        attach_xclip(clip, {"name": "x-clip", "layers": 3})


def test_a_model_of_the_paper_has_its_parameters():
    # Ni et al. 2022, of a ViT-B/16: 131.5 million without the text tower.
    model = "ViT-B-16-quickgelu"
    with torch.device("meta"):
        clip = make_model(model, model_config(model), device="meta")
        attach_xclip(clip, XClipSizes(frames=16).as_system())
    video = video_side(clip.visual)
    counts = {video.messages: 35.45, video.integration: 3.16, clip.added: 6.30}
    for part, millions in counts.items():
        own = sum(p.numel() for p in part.parameters())
        assert own / 1e6 == pytest.approx(millions, abs=0.01)
    whole = sum(p.numel() for part in (clip.visual, clip.added) for p in part.parameters())
    assert whole / 1e6 == pytest.approx(131.5, abs=0.05)


def test_models_and_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ModelError, match=r"class token, which this model has not; use a ViT"):
        attach_xclip(new_model("vifi-test-timm", 0), SIZES.as_system())
    for field in ("frames", "mit_layers", "prompt_layers"):
        with pytest.raises(ModelError, match=f"{field} of X-CLIP is 0"):
            XClipSizes(**{field: 0})
    with pytest.raises(ModelError, match="frames of X-CLIP is 1000000"):
        attach_xclip(new_model(CLIP, 0), {"name": "x-clip", "frames": 1000000})
    with pytest.raises(ModelError, match="24 channels are no multiple of 5 heads"):
        attach_xclip(new_model(CLIP, 0), XClipSizes(heads=5).as_system())
