"""Folders as transformers' save_pretrained writes them: random weights of its classes, small."""

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vifistore.models import torchvision_operators

SIDE, CONTEXT, VOCABULARY = 32, 12, 64
_WORDS = [
    "a",
    "photo",
    "of",
    "video",
    "the",
    "run",
    "jump",
    "red",
    "blue",
    "green",
    "square",
    "circle",
    "moving",
    "clip",
    "person",
]
_SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2}
_VISION = {**_SIZES, "num_hidden_layers": 2, "image_size": SIDE, "patch_size": 8}
_TEXT = {**_SIZES, "num_hidden_layers": 2, "vocab_size": VOCABULARY}
_TEXT |= {"max_position_embeddings": CONTEXT}
_ENDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
_HALF = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3}
_PIXELS = {"do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}
CROPPED = {**_PIXELS, **_HALF, "resample": 3, "size": {"shortest_edge": SIDE}}
CROPPED |= {"do_center_crop": True, "crop_size": {"height": SIDE, "width": SIDE}}
SQUASHED = {**_PIXELS, **_HALF, "resample": 3, "size": {"height": SIDE, "width": SIDE}}
PATCHES = {**_PIXELS, **_HALF, "resample": 2, "patch_size": 8, "max_num_patches": 16}
BARE = {**SQUASHED, "do_normalize": False, "size": {"height": 36, "width": 36}}
MODELS = ("clip", "siglip", "siglip2", "videoprism", "pe_video")


def _clip(t: Any) -> tuple[Any, dict]:
    text = {**_TEXT, **_ENDS}
    config = t.CLIPConfig(vision_config=_VISION, text_config=text, projection_dim=24)
    return t.CLIPModel(config), CROPPED


def _siglip(t: Any) -> tuple[Any, dict]:
    text = {**_TEXT, **_ENDS}
    return t.SiglipModel(t.SiglipConfig(vision_config=_VISION, text_config=text)), SQUASHED


def _siglip2(t: Any) -> tuple[Any, dict]:
    vision = {**_SIZES, "num_hidden_layers": 2, "num_patches": 16, "patch_size": 8}
    text = {**_TEXT, **_ENDS}
    return t.Siglip2Model(t.Siglip2Config(vision_config=vision, text_config=text)), PATCHES


def _videoprism(t: Any) -> tuple[Any, dict]:
    layers = {"num_spatial_layers": 1, "num_temporal_layers": 1, "num_auxiliary_layers": 1}
    vision = {**_SIZES, **layers, "image_size": 36, "num_frames": 4, "tubelet_size": [1, 18, 18]}
    config = t.VideoPrismConfig(vision_config=vision, text_config=_TEXT)
    return t.VideoPrismClipModel(config), BARE


def _pe_video(t: Any) -> tuple[Any, dict]:
    ends = {**_ENDS, "cls_token_id": 1, "sep_token_id": 2}
    text = {**_SIZES, "num_hidden_layers": 2, "vocab_size": VOCABULARY, "model_type": "modernbert"}
    sizes = {"embed_dim": 64, "depth": 1, "num_heads": 2, "img_size": SIDE}
    frames = {"model_type": "timm_wrapper", "architecture": "vit_pe_core_tiny_patch16_384"}
    frames |= {"num_classes": 24, "do_pooling": True, "global_pool": "map", "model_args": sizes}
    video = {**_SIZES, "num_hidden_layers": 1, "head_dim": 16, "vision_config": frames}
    config = t.PeVideoConfig(text_config={**text, **ends}, video_config=video)
    return t.PeVideoModel(config), {**SQUASHED, "resample": 2}


_MAKERS: dict[str, Callable[[Any], tuple[Any, dict]]] = {
    "clip": _clip,
    "siglip": _siglip,
    "siglip2": _siglip2,
    "videoprism": _videoprism,
    "pe_video": _pe_video,
}


def write_folder(folder: Path, model_type: str, seed: int = 0) -> Path:
    """A folder of random weights of that type, with a tokenizer of a few words; returns it."""
    torchvision_operators.prepare()
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(seed)
    # PE-Video's class prints that its documentation is wanting.
    with contextlib.redirect_stdout(io.StringIO()):
        model, pixels = _MAKERS[model_type](transformers)
    for name, parameter in model.named_parameters():
        # A scale and a bias as training leaves them; others are random already.
        if name.endswith("logit_scale"):
            parameter.data.fill_(12.0 if model_type == "pe_video" else 2.5)
        if name.endswith("logit_bias"):
            parameter.data.fill_(-3.0)
    model.save_pretrained(folder)
    videos = model_type in ("videoprism", "pe_video")
    name = "video_preprocessor_config.json" if videos else "preprocessor_config.json"
    (folder / name).write_text(json.dumps(pixels))
    write_tokenizer(folder, transformers)
    return folder


def write_tokenizer(folder: Path, transformers: Any) -> None:
    """A tokenizer of a few words, as save_pretrained writes it."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing

    special = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3}
    words = {**special, **{word: 4 + number for number, word in enumerate(_WORDS)}}
    made = Tokenizer(WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = Whitespace()
    ends = [("<s>", 1), ("</s>", 2)]
    made.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    names = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=made, **names)
    fast.save_pretrained(folder)
