"""OpenCLIP's families, each in a small configuration of its own classes: pictures, texts, a video
extracted, scored and found."""

import copy
import json
import shlex

import pytest
import torch

from tests.vifistore.extract.conftest import write_clip
from tests.vifistore.models.hf_folders import VOCABULARY, write_tokenizer
from vifi.__main__ import run
from vifistore.models.openclip_model import require_openclip
from vifistore.models.registry import open_clip
from vifistore.models.towers import load_model
from vifistore.store import open_store

DIM, SIDE = 48, 64
TEXT = {"width": DIM, "heads": 4, "layers": 2}
VIT = {"embed_dim": DIM, "depth": 2, "num_heads": 4, "img_size": SIDE}
# Where timm keeps the model of a config, and what makes it small.
TRUNKS = {
    "vit_base_patch16_siglip_224": ("vision_transformer", VIT),
    "vit_base_patch32_siglip_256": ("vision_transformer", VIT),
    "vit_pe_core_tiny_patch16_384": ("eva", {**VIT, "attn_pool_num_heads": 4}),
    "eva02_base_patch16_clip_224": ("eva", VIT),
    "fastvit_mci0": ("fastvit", {"layers": (1, 1, 1, 1), "embed_dims": (16, 16, 32, 64)}),
    "convnext_base": ("convnext", {"depths": [1, 1, 1, 1], "dims": [8, 16, 16, 32]}),
    "vitamin_small_224": ("vitamin", {**VIT, "embed_cfg": None}),
}
FAMILIES = {
    "SigLIP": "ViT-B-16-SigLIP",
    "SigLIP 2": "ViT-B-32-SigLIP2-256",
    "CoCa": "coca_ViT-B-32",
    "PE-Core": "PE-Core-T-16-384",
    "MobileCLIP2": "MobileCLIP2-S0",
    "EVA02": "EVA02-B-16",
    "ConvNeXt": "convnext_base",
    "ViTamin": "ViTamin-S",
}
NEEDS_TRANSFORMERS = ("SigLIP", "SigLIP 2")


def small_trunk(name: str) -> str:
    """Register a small model of the function that makes timm's; its name."""
    import timm
    from timm.models import vitamin

    module, sizes = TRUNKS[name]
    make, sizes = getattr(getattr(timm.models, module), name), dict(sizes)
    if "embed_cfg" in sizes:
        conv = vitamin.VitConvCfg(norm_layer="layernorm2d", norm_eps=1e-6)
        stages = {"embed_dim": (16, 32, DIM), "depths": (1, 1, 1), "stem_width": 16}
        sizes["embed_cfg"] = vitamin.VitCfg(**stages, conv_cfg=conv, head_type="1d")

    def trunk(pretrained: bool = False, **options):
        return make(pretrained=False, **{**sizes, **options})

    trunk.__name__ = f"small_{name}"
    trunk.__module__ = __name__
    if not timm.is_model(trunk.__name__):
        timm.models.register_model(trunk)
    return trunk.__name__


def small(config: dict, tokenizer: str) -> dict:
    """The config of a model with small towers of the same classes."""
    config = copy.deepcopy(config) | {"embed_dim": DIM}
    vision, text = config["vision_cfg"], config["text_cfg"]
    vision["image_size"] = SIDE
    if "timm_model_name" in vision:
        vision["timm_model_name"] = small_trunk(vision["timm_model_name"])
    else:
        vision |= {"width": DIM, "layers": 2, "head_width": 12, "attn_pooler_heads": 4}
    text |= TEXT
    if "hf_tokenizer_name" in text:
        text |= {"hf_tokenizer_name": tokenizer, "vocab_size": VOCABULARY, "context_length": 12}
    if "multimodal_cfg" in config:
        config["multimodal_cfg"] |= {**TEXT, "attn_pooler_heads": 4}
    return config


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory):
    folder, tokenizer = (tmp_path_factory.mktemp(name) for name in ("configs", "tokenizer"))
    try:
        import transformers
    except ImportError:
        pass
    else:
        write_tokenizer(tokenizer, transformers)
    for name in FAMILIES.values():
        config = small(open_clip.get_model_config(name), str(tokenizer))
        (folder / f"small-{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for number in range(2):
        write_clip(folder / ("run", "jump")[number] / f"{number}.mp4", seed=number)
    return folder


def vifi(line: str) -> int:
    return run(shlex.split(line))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_from_pictures_to_search(family, videos, tmp_path, monkeypatch):
    if family in NEEDS_TRANSFORMERS:
        pytest.importorskip("transformers")
    name = f"small-{FAMILIES[family]}"
    loaded = require_openclip(load_model(name, "none"), "this test compares")
    pixels, texts = torch.randn(2, 3, SIDE, SIDE), ["a photo of run", "the red square"]
    with torch.inference_mode():
        # CoCa's own gives tokens beside them, which its tower is made to leave out.
        encode = loaded.clip.visual if family == "CoCa" else loaded.clip.encode_image
        images = encode(pixels)
        expected = loaded.clip.encode_text(loaded.text_side.tokens(texts))
    torch.testing.assert_close(loaded.image_tower(pixels), images, atol=1e-5, rtol=0)
    found = torch.from_numpy(loaded.text_side.encode(texts))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert found.shape == images.shape == (2, DIM)
    assert (loaded.logit_bias is not None) == family.startswith("SigLIP")
    monkeypatch.chdir(tmp_path)
    assert vifi(f"scan S.zarr {videos} --dataset d") == 0
    fast = "--frames 2 --workers 1 --device cpu --precision fp32"
    assert vifi(f"extract S.zarr --dataset d --model {name} --pretrained none --name m {fast}") == 0
    assert open_store("S.zarr").features("d", "m").frames.shape == (2, 1, 2, DIM)
    assert vifi("evaluate S.zarr zero-shot --dataset d --features m") == 0
    assert vifi("search S.zarr 'the red square' --dataset d --features m -k 1") == 0
