"""X-CLIP's modules compute what is published: held against a plain restatement and against
transformers' own model on the same weights."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.vifistore.models.tiny_models import register
from tests.vifistore.models.xclip.restated import Restated, cosines
from vifistore.errors import ModelError, UsageError
from vifistore.models import torchvision_operators
from vifistore.models.huggingface import from_hugging_face
from vifistore.models.registry import model_config
from vifistore.models.skeletons import make_model, new_model
from vifistore.models.xclip.added_modules import AddedModules, XClipSizes, XClipTower
from vifistore.models.xclip.xclip_names import PREFIX, from_videox, split_hugging_face, to_videox

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
    added = AddedModules(clip, sizes)
    random_weights(clip, 1)
    random_weights(added, 2)
    return clip.eval(), added.eval()


def weights_of(clip: nn.Module, added: nn.Module) -> dict[str, Tensor]:
    return clip.state_dict() | {PREFIX + key: value for key, value in added.state_dict().items()}


@torch.inference_mode()
def test_it_computes_the_published_formulas():
    clip, added = xclip()
    pixels, texts = unlike(2, 3, 3, 32, 32), torch.randn(5, 24)
    weights = {k: v.double().numpy() for k, v in to_videox(weights_of(clip, added)).items()}
    plain = Restated(weights, image_heads=2, heads=4)
    videos, patches = XClipTower(clip.visual, added)(pixels)
    found = added.prompts.cosines(videos, patches, texts)
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
    clip, added = xclip()
    pixels, texts = unlike(3, 3, 3, 32, 32), torch.randn(4, 24)
    tower = XClipTower(clip.visual, added)
    alone = [tower(each[None]) for each in pixels]
    videos, patches = tower(pixels)
    assert torch.allclose(videos, torch.cat([v for v, _ in alone]), atol=1e-5)
    assert torch.allclose(patches, torch.cat([p for _, p in alone]), atol=1e-5)
    together = added.prompts.cosines(videos, patches, texts)
    each = [added.prompts.cosines(v, p, texts) for v, p in alone]
    assert torch.allclose(together, torch.cat(each), atol=1e-6)


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
    clip, added = xclip()
    clip.load_state_dict(from_hugging_face(clip_state))
    added.load_state_dict({k.removeprefix(PREFIX): v for k, v in added_state.items()})
    return clip, added


@torch.inference_mode()
def test_it_computes_what_transformers_computes():
    model = theirs()
    clip, added = ours_of(model)
    pixels = unlike(2, 3, 3, 32, 32)
    tokens = torch.randint(1, 49000, (5, 16))
    tokens[:, 10] = 49407
    wanted = model(pixel_values=pixels, input_ids=tokens)
    texts = clip.encode_text(tokens)
    videos, patches = XClipTower(clip.visual, added)(pixels)
    unit_videos = nn.functional.normalize(videos, dim=-1)
    unit_texts = nn.functional.normalize(added.prompts(texts, patches), dim=-1)
    found = added.prompts.cosines(videos, patches, texts)
    assert torch.allclose(unit_videos, wanted.video_embeds, atol=1e-5)
    assert torch.allclose(unit_texts, wanted.text_embeds, atol=1e-5)
    scale = model.logit_scale.exp()
    assert (found - wanted.logits_per_video / scale).abs().max() < 1e-4
    assert torch.allclose(found * clip.logit_scale.exp(), wanted.logits_per_video, atol=1e-3)


def test_every_tensor_of_transformers_finds_its_place():
    model = theirs()
    clip_state, added_state = split_hugging_face(model.state_dict())
    clip, added = xclip()
    found = from_hugging_face(clip_state) | added_state
    assert found.keys() == weights_of(clip, added).keys()


def test_names_of_videox_lead_back():
    clip, added = xclip()
    own = weights_of(clip, added)
    there = to_videox(own)
    assert {"mit.positional_embedding", "prompts_generator.alpha"} < there.keys()
    assert "visual.transformer.resblocks.1.message_attn.in_proj_weight" in there
    assert not any(key.startswith(PREFIX) for key in there)
    assert from_videox(there).keys() == own.keys()
    assert all(torch.equal(value, own[key]) for key, value in from_videox(there).items())


def test_a_model_of_the_paper_has_its_parameters():
    # Ni et al. 2022, of a ViT-B/16: 131.5 million without the text tower.
    model = "ViT-B-16-quickgelu"
    with torch.device("meta"):
        clip = make_model(model, model_config(model), device="meta")
        added = AddedModules(clip, XClipSizes(frames=16))
    counts = {"messages": 35.45, "integration": 3.16, "prompts": 6.30}
    for name, millions in counts.items():
        own = sum(p.numel() for p in getattr(added, name).parameters())
        assert own / 1e6 == pytest.approx(millions, abs=0.01)
    whole = sum(p.numel() for part in (clip.visual, added) for p in part.parameters())
    assert whole / 1e6 == pytest.approx(131.5, abs=0.05)


def test_models_and_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ModelError, match=r"class token, which this model has not; use a ViT"):
        AddedModules(new_model("vifi-test-timm", 0), SIZES)
    with pytest.raises(UsageError, match="frames of X-CLIP is 0"):
        XClipSizes(frames=0)
    with pytest.raises(ModelError, match="24 channels are no multiple of 5 heads"):
        AddedModules(new_model(CLIP, 0), XClipSizes(heads=5))
