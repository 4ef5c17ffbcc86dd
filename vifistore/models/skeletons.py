"""OpenCLIP's models before they have weights: found by name, made at a size, in memory or not."""

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

from vifistore.errors import ModelError, TextTowerError, first_line
from vifistore.models.hub import offline_if_unreachable, quiet
from vifistore.models.load_settings import LARGEST_SIDE
from vifistore.models.openclip_parts import Clip
from vifistore.models.registry import model_config, open_clip

# What draws the random numbers of parameters. Those of `init` see no mode in what they call.
_FILLING = (
    *(Tensor.normal_, Tensor.uniform_, init.normal_, init.uniform_, init.trunc_normal_),
    *(init.kaiming_uniform_, init.kaiming_normal_, init.xavier_uniform_, init.xavier_normal_),
)
# Takes the place of a text tower while a model is made that cannot have its own.
_SMALLEST_TEXT = {"context_length": 1, "vocab_size": 1, "width": 1, "heads": 1, "layers": 1}


class MissingText(torch.nn.Module):
    """Stands where a model's text tower would be, which cannot be made here."""

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Raises TextTowerError for any tokens [text token]."""
        raise TextTowerError(self.why)


def sized(config: dict, image_size: int) -> dict:
    """A model config for pictures of another size, pixels; itself where that is its own."""
    if image_size_of(config) in (image_size, [image_size, image_size]):
        return config
    return {**config, "vision_cfg": {**config["vision_cfg"], "image_size": image_size}}


def is_sized(found: dict, config: dict) -> bool:
    """Whether a config that was found is this one, for pictures of whatever size."""
    vision = found.get("vision_cfg")
    size = vision.get("image_size") if isinstance(vision, dict) else None
    # A file must not choose how much memory its positions take.
    if type(size) is not int or not 0 < size <= LARGEST_SIDE:
        return found == config
    return found == config or found == sized(config, size)


def image_size_of(config: dict) -> object:
    """Side of the pictures of a model, pixels; height and width where they differ."""
    return config["vision_cfg"].get("image_size", 224)


def has_hub_text(config: dict) -> bool:
    """Whether a model's text tower is one of transformers, described on the hub."""
    return bool(config["text_cfg"].get("hf_model_name"))


def new_model(model: str, seed: int, config: dict | None = None) -> Clip:
    """Return a model with random weights, the same for the same seed.

    `config` is that of the model, at any image size. Where its text tower cannot be made, there is
    a `MissingText` in its place.
    """
    config = config or model_config(model)
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(seed)
        if not has_hub_text(config):
            return _filled(make_model(model, config))
        try:
            with offline_if_unreachable():
                return make_model(model, config)
        except (ImportError, RuntimeError, OSError, ValueError):
            torch.manual_seed(seed)
            clip = make_model(model, config, text_cfg=_SMALLEST_TEXT)
            clip.text = MissingText(why_no_text(model, config))
            return clip


def _filled(clip: Clip) -> Clip:
    """The model with what OpenCLIP leaves as it was in memory: the end of CoCa's captions."""
    decoder = getattr(clip, "text_decoder", None)
    if isinstance(decoder, torch.nn.Module):
        projection = cast("torch.nn.Parameter", decoder.text_projection)
        init.normal_(projection, std=len(projection) ** -0.5)
    return clip


def empty_model(model: str, config: dict) -> Clip:
    """As `new_model`, but weights are whatever was in memory: for those of a file to replace.

    Random numbers for a ViT-B-32 take as long as reading its weights.
    """
    with _Unfilled():
        return new_model(model, 0, config)


class _Unfilled(TorchFunctionMode):
    """Draws no random numbers for parameters."""

    def __torch_function__(
        self, func: Callable, types: Sequence, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        """Call a function of torch, unless it fills what it is given with random numbers."""
        kwargs = kwargs or {}
        if func not in _FILLING:
            return func(*args, **kwargs)
        return args[0] if args else kwargs["tensor"]


def make_model(model: str, config: dict, **options: Any) -> Clip:
    """OpenCLIP's model at the image size of `config`; `options` are those of create_model."""
    if image_size_of(config) != image_size_of(model_config(model)):
        options["force_image_size"] = image_size_of(config)
    options = {"load_weights": False, "pretrained_text": False, **options}
    clip = cast(Clip, open_clip.create_model(model, **options))
    # CoCa's towers give their tokens, too: of pictures nobody wants them.
    clip.visual.output_tokens = False
    return clip


def require_size(clip: Clip, model: str) -> None:
    """Raise ModelError for an image tower that cannot take pictures of the size it was made for."""
    size = clip.visual.image_size
    height, width = (size, size) if isinstance(size, int) else size
    try:
        with torch.inference_mode():
            clip.eval().visual(torch.zeros(1, 3, height, width))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ModelError(
            f"the image tower of {model} cannot take pictures of {height} x {width} "
            f"({first_line(error, 100)}); leave --image-size out, or give another"
        ) from error


def take_texts(clip: Clip, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take the text tower's weights, tensors [...] by key, out of `state` where the model has no
    place for them."""
    if not isinstance(getattr(clip, "text", None), MissingText):
        return {}
    return {key: state.pop(key) for key in list(state) if key.startswith("text.")}


def why_no_text(model: str, config: dict) -> str:
    """Why texts cannot be encoded, and the remedy."""
    if importlib.util.find_spec("transformers") is None:
        return (
            f"the texts of {model} need the package transformers, which is not installed; run: "
            "pip install 'vifistore[hf]'"
        )
    text = config["text_cfg"]
    source = text.get("hf_tokenizer_name") or text.get("hf_model_name")
    return (
        f"the texts of {model} need {source}, which is not in the cache of the Hugging Face hub "
        "and cannot be fetched; fetch it on a machine with a network and copy its cache here"
    )
