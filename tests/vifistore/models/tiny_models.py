"""Tiny models of the kinds that OpenCLIP makes, registered with it."""

import json
from pathlib import Path

from vifistore.models.registry import open_clip

_VISION = {"image_size": 32, "patch_size": 8, "width": 32, "head_width": 16, "layers": 2}
_TEXT = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}

CLIP = {"embed_dim": 24, "quick_gelu": True, "vision_cfg": _VISION, "text_cfg": _TEXT}
COCA = {
    "embed_dim": 24,
    "custom_text": True,
    "vision_cfg": {**_VISION, "attentional_pool": True, "attn_pooler_heads": 2}
    | {"attn_pooler_queries": 4, "output_tokens": True},
    "text_cfg": {**_TEXT, "embed_cls": True, "output_tokens": True},
    "multimodal_cfg": {**_TEXT, "attn_pooler_heads": 2, "width": 24},
}
HUB_TEXT = {
    "embed_dim": 24,
    "vision_cfg": _VISION,
    "text_cfg": {"hf_model_name": "vifistore/none", "hf_tokenizer_name": "vifistore/none"},
}
SIGLIP = {
    "embed_dim": 48,
    "init_logit_bias": -10,
    "custom_text": True,
    "vision_cfg": {
        "image_size": 32,
        "timm_model_name": "vit_siglip_of_tests",
        "timm_model_pretrained": False,
        "timm_pool": "map",
        "timm_proj": "none",
    },
    "text_cfg": {
        **{"context_length": 12, "vocab_size": 200, "width": 48, "heads": 4, "layers": 2},
        **{"no_causal_mask": True, "proj_bias": True, "pool_type": "last"},
        **{"norm_kwargs": {"eps": 1e-6}, "act_kwargs": {"approximate": "tanh"}},
        "hf_tokenizer_name": "vifistore/none",
    },
}
# A class token before the patches, with a position of its own.
TIMM = {
    "embed_dim": 24,
    "vision_cfg": {
        "image_size": 32,
        "timm_model_name": "vit_class_token_of_tests",
        "timm_pool": "token",
        "timm_proj": "linear",
    },
    "text_cfg": _TEXT,
}
CONFIGS = {
    "vifi-test-timm": TIMM,
    "vifi-test-clip": CLIP,
    "vifi-test-coca": COCA,
    "vifi-test-hub": HUB_TEXT,
    "vifi-test-siglip": SIGLIP,
}


def _trunk(pretrained: bool = False, **options: object):
    from timm.models.vision_transformer import _create_vision_transformer

    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 3, "num_heads": 4}
    return _create_vision_transformer("vit_base_patch16_siglip_224", **{**sizes, **options})


def vit_siglip_of_tests(pretrained: bool = False, **options: object):
    """SigLIP's image tower, small."""
    head = {"class_token": False, "global_pool": "map", "act_layer": "gelu_tanh"}
    return _trunk(**{**head, **options})


def vit_class_token_of_tests(pretrained: bool = False, **options: object):
    """A ViT with a class token, small."""
    return _trunk(**{"class_token": True, **options})


def register(folder: Path) -> None:
    """Let OpenCLIP know the models; `folder` must stay."""
    # Only now: OpenCLIP has made sure that torchvision, which it imports, can be.
    import timm

    for trunk in (vit_siglip_of_tests, vit_class_token_of_tests):
        if not timm.is_model(trunk.__name__):
            timm.models.register_model(trunk)
    for name, config in CONFIGS.items():
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
