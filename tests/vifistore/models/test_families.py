"""Models of OpenCLIP that are no plain CLIP: pictures are encoded, and texts where they can be."""

import logging
from types import SimpleNamespace

import pytest
import torch

from tests.vifistore.models.tiny_models import CONFIGS, register
from vifistore.errors import ModelError, TextTowerError
from vifistore.extract.encoder import Encoder
from vifistore.models import openclip_texts
from vifistore.models.load_settings import WeightsSettings
from vifistore.models.openclip_files import write_openclip
from vifistore.models.registry import open_clip
from vifistore.models.skeletons import MissingText, new_model
from vifistore.models.text_embedding import encode_classes, text_fields
from vifistore.models.tower_digests import tower_digests
from vifistore.models.towers import load_model
from vifistore.training.systems.vifi_clip import choose_trained

COCA, HUB, SIGLIP = "vifi-test-coca", "vifi-test-hub", "vifi-test-siglip"


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory):
    register(tmp_path_factory.mktemp("configs"))


@pytest.fixture
def said(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("vifi"), "propagate", True)
    caplog.set_level(logging.INFO)
    return caplog


def encoded(loaded, pixels: torch.Tensor, precision: str = "fp32") -> torch.Tensor:
    options = {"precision": precision, "device": torch.device("cpu"), "batch": 2}
    ((_, found),) = Encoder(loaded, **options).encode([("video", pixels)])
    return found


def test_coca_gives_its_embeddings_without_the_tokens():
    loaded = load_model(COCA, "none")
    theirs = open_clip.create_model(COCA, load_weights=False).eval()
    theirs.load_state_dict(loaded.clip.state_dict())
    pixels = torch.randn(3, 3, 32, 32)
    with torch.inference_mode():
        images, _ = theirs._encode_image(pixels, normalize=False)
        tokens = open_clip.get_tokenizer(COCA)(["a photo of a cat."])
        texts = theirs.encode_text(tokens)
    assert torch.allclose(encoded(loaded, pixels), images, atol=1e-5)
    assert torch.allclose(encoded(loaded, pixels, "bf16"), images, atol=0.1 * images.abs().max())
    found = torch.from_numpy(encode_classes(loaded, ["cat"], ["a photo of a {}."])[0])
    assert torch.allclose(found, texts, atol=1e-6)


def test_random_captions_are_the_same_whatever_lay_in_memory():
    first = new_model(COCA, 0).state_dict()
    # Numbers where the next model's weights will lie.
    for _ in range(3):
        [torch.full_like(weight, 7.0) for weight in first.values()]
    again = new_model(COCA, 0).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert 0 < first["text_decoder.text_projection"].abs().max() < 7


def test_what_writes_captions_is_never_trained():
    trained = choose_trained(new_model(COCA, 0), "full")
    assert not any(name.startswith("text_decoder.") for name in trained)
    assert any(name.startswith("text.") for name in trained)


@pytest.mark.parametrize("model", [HUB, SIGLIP])
def test_pictures_are_encoded_where_texts_cannot_be(model):
    loaded = load_model(model, "none")
    pixels = torch.randn(2, 3, 32, 32)
    assert encoded(loaded, pixels).shape == (2, CONFIGS[model]["embed_dim"])
    with pytest.raises(TextTowerError, match=rf"the texts of {model} need ") as caught:
        encode_classes(loaded, ["a"], ["{}"])
    assert len(str(caught.value)) <= 400
    assert ";" in str(caught.value)


def hub_file(tmp_path) -> tuple[str, dict]:
    """Weights of a model whose text tower is on the hub, and those of its text tower."""
    texts = {"text.transformer.embeddings.word_embeddings.weight": torch.randn(9, 4)}
    texts["text.proj.0.weight"] = torch.randn(5, 4)
    torch.save({**new_model(HUB, 3).state_dict(), **texts}, tmp_path / "a.pt")
    return str(tmp_path / "a.pt"), texts


def test_a_text_tower_that_cannot_be_made_keeps_its_digest(tmp_path):
    """Which is that of its weights, so that the texts can be made elsewhere."""
    path, texts = hub_file(tmp_path)
    found = load_model(HUB, path)
    assert isinstance(found.clip.text, MissingText)
    with_texts = found.clip.state_dict() | texts
    assert (found.image_digest, found.text_digest) == tower_digests(found.config, with_texts)
    with pytest.raises(TextTowerError, match="the texts of vifi-test-hub need"):
        write_openclip(tmp_path / "out.safetensors", found)
    assert not (tmp_path / "out.safetensors").exists()


def test_without_transformers_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TextTowerError, match=r"run: pip install 'vifistore\[hf\]'"):
        encode_classes(load_model(HUB, "none"), ["a"], ["{}"])


def test_the_context_is_that_of_openclips_tokenizer():
    """A tower of transformers says how many tokens it could take, which is another number."""
    assert load_model(HUB, "none").text_side.context_length == 77
    siglip = load_model(SIGLIP, "none")
    assert text_fields(siglip, ["a"], ["{}"])["context_length"] == siglip.clip.context_length == 12


class Tokens:
    """Of transformers: texts end in `eos` and are padded with `pad`."""

    def __init__(self, pad: int, eos: int) -> None:
        self.tokenizer = SimpleNamespace(pad_token_id=pad, eos_token_id=eos)


@pytest.mark.parametrize(
    ("tokens", "row", "is_full"),
    [
        (Tokens(pad=1, eos=1), [5, 6, 7, 1, 1, 1], False),
        (Tokens(pad=1, eos=1), [5, 6, 7, 8, 1, 1], False),
        (Tokens(pad=1, eos=1), [5, 6, 7, 8, 9, 1], True),
        (Tokens(pad=1, eos=2), [0, 5, 6, 2, 1, 1], False),
        (Tokens(pad=1, eos=2), [0, 5, 6, 7, 8, 2], True),
        (Tokens(pad=0, eos=1), [5, 6, 7, 8, 1, 0], False),
        (Tokens(pad=0, eos=1), [5, 6, 7, 8, 9, 1], True),
        (object(), [49406, 5, 49407, 0, 0, 0], False),
        (object(), [49406, 5, 6, 7, 8, 49407], True),
    ],
)
def test_texts_that_are_cut_are_told_whatever_pads_them(monkeypatch, said, tokens, row, is_full):
    monkeypatch.setattr(openclip_texts, "_own_tokenizer", lambda *_: tokens)
    load_model(SIGLIP, "none").text_side.check_lengths(["a text"], torch.tensor([row]))
    assert ("may be cut" in said.text) == is_full


def test_a_clip_may_have_its_text_tower_in_either_place(tmp_path):
    """OpenCLIP keeps it at the top, or as `text`; some trainers ask for the other one."""
    plain = new_model("vifi-tiny", 3).state_dict()
    moved = {
        key if key.startswith("visual.") or key == "logit_scale" else f"text.{key}": value
        for key, value in plain.items()
    }
    torch.save(moved, tmp_path / "a.pt")
    found = load_model("vifi-tiny", str(tmp_path / "a.pt")).clip.state_dict()
    assert all(torch.equal(found[key], plain[key]) for key in plain)


def test_a_size_for_a_tower_without_its_texts(tmp_path):
    loaded = load_model(HUB, hub_file(tmp_path)[0], weights=WeightsSettings(image_size=48))
    assert encoded(loaded, torch.randn(2, 3, 48, 48)).shape == (2, 24)
    with pytest.raises(ModelError):
        load_model(SIGLIP, hub_file(tmp_path)[0])
