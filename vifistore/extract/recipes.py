"""From settings and a loaded model to the recipe of a feature set."""

import re
from dataclasses import replace
from typing import TypeVar

import torch

from vifistore.errors import ModelError, UsageError, short
from vifistore.extract.extract_settings import EncodeSettings, ExtractSettings, PixelSettings
from vifistore.extract.ranks import local_number
from vifistore.frames.decoders.decoder_names import NVDEC
from vifistore.frames.decoders.decoding import decoder_version
from vifistore.frames.gpu.nvdec import check_nvdec
from vifistore.frames.preprocess import preprocessing_of
from vifistore.frames.sampling import EVERY_RULE, RATE_RULE, SAMPLING_RULE, WINDOW_RULE
from vifistore.models.encoders import CLIP, LoadedModel
from vifistore.models.text_embedding import default_cleaning, default_templates
from vifistore.store.identity import PAPER
from vifistore.store.recipe import Preprocessing, Recipe

DEFAULT_FRAMES = 32
Encode = TypeVar("Encode", bound=EncodeSettings)


def choose_device(device: str) -> torch.device:
    """Return the device to compute on; a GPU becomes the current one, where kernels, graphs and
    pinned memory belong. Raises UsageError if it is not there, or is no CPU and no NVIDIA GPU."""
    if device == "auto":
        if not torch.cuda.is_available():
            return torch.device("cpu")
        # Processes that a launcher started side by side take a GPU each.
        return _current(local_number() % torch.cuda.device_count())
    if device == "cpu":
        return torch.device("cpu")
    # torch takes other kinds of devices, and numbers beyond 127 for negative ones.
    found = re.fullmatch(r"cuda(?::(0|[1-9][0-9]{0,5}))?", device)
    if found is None:
        raise UsageError(f"--device is {short(repr(device))}; give cpu, cuda, cuda:N or auto")
    number, count = int(found[1] or 0), torch.cuda.device_count()
    if number >= count:
        raise UsageError(
            f"--device is {device!r} but this machine has {count} NVIDIA GPUs; give --device cpu "
            "or one that exists"
        )
    return _current(number)


def _current(number: int) -> torch.device:
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def choose_precision(precision: str, device: torch.device) -> str:
    """Resolve `auto`: bf16 on GPUs and CPUs that have instructions for it, fp32 elsewhere.

    Raises UsageError for a precision that the device cannot run.
    """
    if precision != "auto":
        _require_runnable(precision, device)
        return precision
    has_bf16 = _gpu_has_bf16(device) if device.type == "cuda" else _cpu_has_bf16()
    return "bf16" if has_bf16 else "fp32"


def _require_runnable(precision: str, device: torch.device) -> None:
    """Raise UsageError if a GPU would have to emulate the precision: its numbers are others."""
    if precision == "bf16" and device.type == "cuda" and not _gpu_has_bf16(device):
        raise UsageError(
            f"{torch.cuda.get_device_name(device)} cannot compute in bf16; use another GPU, or "
            "begin a feature set of its own with --precision fp32"
        )


def _gpu_has_bf16(device: torch.device) -> bool:
    with torch.cuda.device(device):
        return torch.cuda.is_bf16_supported(including_emulation=False)


def _cpu_has_bf16() -> bool:
    # Without the instructions bf16 is emulated, and slower than fp32.
    return torch.cpu._is_avx512_bf16_supported()


def require_decoder(settings: EncodeSettings) -> None:
    """Raise UsageError unless the device can decode, if it is to."""
    if settings.decoder == NVDEC:
        check_nvdec(choose_device(settings.device).type)


def settled(settings: Encode, loaded: LoadedModel) -> Encode:
    """The settings, with what they leave open as the checkpoint was trained.

    Raises ModelError for a checkpoint whose frames are to be sampled by a rule that is not known
    here, unless the settings say how many.
    """
    trained = loaded.identity
    rule = trained.sampling.get("rule", SAMPLING_RULE)
    if settings.frames is None and rule != SAMPLING_RULE:
        raise ModelError(
            f"{loaded.name} samples frames by the rule {rule!r:.40}, which this version does not "
            f"know; give --{settings.frames_flag} N to sample them by {SAMPLING_RULE}"
        )
    return replace(
        settings,
        frames=_frames_of(settings, loaded),
        preprocess=settings.preprocess or trained.preprocessing["family"],
        template=settings.template or default_templates(loaded),
        class_names=settings.class_names or default_cleaning(loaded),
    )


def _frames_of(settings: EncodeSettings, loaded: LoadedModel) -> int:
    """Frames of a view. Raises UsageError for others than an encoder sees together."""
    own, flag = loaded.num_frames if loaded.kind == CLIP else 0, f"--{settings.frames_flag}"
    if own and settings.frames not in (None, own):
        raise UsageError(
            f"{flag} is {settings.frames}, and {loaded.model} sees {own} frames together; give "
            f"{flag} {own} or leave it out, and --clips for more of a video"
        )
    frames = own or settings.frames or loaded.identity.frames or DEFAULT_FRAMES
    if loaded.kind == CLIP and frames < loaded.num_outputs:
        raise UsageError(
            f"{flag} is {frames}, and {loaded.model} gives {loaded.num_outputs} embeddings of "
            "a view; give at least as many"
        )
    return frames


def preprocessing_for(settings: PixelSettings, loaded: LoadedModel, crops: int) -> Preprocessing:
    """From a frame to the tower's input, as trained but for what the settings say.

    Raises UsageError for a tower that wants something else than squares, and for the paper's with
    another interpolation.
    """
    said = loaded.identity.preprocessing
    name = settings.preprocess or said["family"]
    made = preprocessing_of(name, {**loaded.preprocess_config, **settings.parts}, crops)
    # The paper's has statistics of its own whatever the tower, or those that a header gives it.
    known = {**said, **settings.parts} if name == PAPER == said["family"] else settings.parts
    given = {key: known[key] for key in ("mean", "std", "interpolation") if key in known}
    if name == PAPER and given.get("interpolation", made.interpolation) != made.interpolation:
        raise UsageError(
            f"--preprocess paper resizes {made.interpolation}; leave --interpolation out, or give "
            "--preprocess openclip"
        )
    return replace(made, **{k: tuple(v) if k != "interpolation" else v for k, v in given.items()})


def _rule(settings: EncodeSettings) -> str:
    if settings.has_rate:
        return EVERY_RULE if settings.every else RATE_RULE
    return WINDOW_RULE if settings.stride else SAMPLING_RULE


def resolve_recipe(settings: ExtractSettings, loaded: LoadedModel) -> Recipe:
    """Return all that decides the numbers of a feature set, with nothing left open."""
    settings = settled(settings, loaded)
    device = choose_device(settings.device)
    require_decoder(settings)
    precision = choose_precision(settings.precision, device)
    return Recipe(
        image_digest=loaded.image_digest,
        preprocessing=preprocessing_for(settings, loaded, settings.crops),
        sampling_rule=_rule(settings),
        frames=settings.num_frames,
        clips=settings.clips,
        crops=settings.crops,
        precision=precision,
        decoder=settings.decoder,
        decoder_version=decoder_version(settings.decoder),
        stride=settings.stride,
        fps=float(settings.fps or 0.0),
        every=settings.every or 0,
        kind=loaded.kind,
        outputs=loaded.num_outputs if loaded.kind == CLIP else 0,
    )
