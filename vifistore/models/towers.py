"""OpenCLIP models: found by name, loaded from a tag, a file or random weights, and digested."""

import logging
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch

from vifistore.errors import ModelError, UnknownNameError
from vifistore.models import torchvision_operators
from vifistore.models.checkpoints import (
    CheckpointHeader,
    read_header,
    read_weights,
)
from vifistore.models.config_files import WEIGHTS_SUFFIXES
from vifistore.models.digests import tower_digests
from vifistore.models.foreign import TOKEN_EMBEDDING, with_openclip_names
from vifistore.models.hub import offline_if_unreachable, quiet
from vifistore.models.prompts import attach_prompts
from vifistore.store.checkpoints import checkpoint_digest

torchvision_operators.prepare()

import open_clip  # noqa: E402 - its torchvision import needs the operators above

# OpenCLIP's registry of configs; ours are added to it.
open_clip.add_model_config(Path(__file__).parent / "configs")

logger = logging.getLogger("vifi")

RANDOM = "none"
OPENAI = "openai"
_RANDOM_SEED = 0


@dataclass(kw_only=True)
class LoadedModel:
    """A model in memory, and what it is."""

    clip: torch.nn.Module
    model: str
    config: dict
    name: str
    image_digest: str
    text_digest: str
    logit_scale: float
    weights_path: str
    parent: str
    step: int
    settings: dict

    @property
    def digest(self) -> str:
        """Digest of the checkpoint."""
        return checkpoint_digest(self.image_digest, self.text_digest, self.logit_scale)

    def record(self) -> dict:
        """Fields of the checkpoint as the store keeps them."""
        return {key: value for key, value in vars(self).items() if key != "clip"}

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of what the image tower sees, pixels."""
        size = self.preprocess_config["size"]
        return (size, size) if isinstance(size, int) else tuple(size)

    @property
    def preprocess_config(self) -> dict:
        """`size`, `mean`, `std`, `interpolation`, `resize_mode` as OpenCLIP gives them."""
        return open_clip.get_model_preprocess_cfg(self.clip)


def model_config(model: str) -> dict:
    """Return the OpenCLIP config of a model. Raises UnknownNameError for an unknown name."""
    config = open_clip.get_model_config(model)
    if config is None:
        raise UnknownNameError("model", model, open_clip.list_models())
    return config


def load_model(
    model: str, pretrained: str, *, device: str = "cpu", token_embedding: str = OPENAI
) -> LoadedModel:
    """Load a model in float32, ready to encode.

    Parameters
    ----------
    model
        OpenCLIP model name, for instance `ViT-B-16-quickgelu`.
    pretrained
        A weights tag of that model (`openai`), a file that vifi, OpenCLIP, OpenAI or ViFi-CLIP
        wrote, or `none` for random weights, which are the same every time.
    token_embedding
        Tag or file of the weights that give the token embedding to files of ViFi-CLIP, which have
        none.

    Raises
    ------
    UnknownNameError
        If the model or the tag does not exist.
    ModelError
        If weights cannot be had, or belong to another architecture or activation.
    """
    config = model_config(model)
    if pretrained == RANDOM:
        loaded = _random_model(model, config)
    elif pretrained in (tags := open_clip.list_pretrained_tags_by_model(model)):
        loaded = _tagged_model(model, config, pretrained)
    elif Path(pretrained).suffix in WEIGHTS_SUFFIXES:
        loaded = _model_from_file(model, config, Path(pretrained), token_embedding)
    else:
        remedy = f"A file must end in {', '.join(WEIGHTS_SUFFIXES)}."
        raise UnknownNameError(f"weights of {model}", pretrained, [*tags, RANDOM], remedy)
    loaded.clip.eval().requires_grad_(False).to(device)
    return loaded


def describe(
    clip: torch.nn.Module, header: CheckpointHeader, *, weights_path: str = ""
) -> LoadedModel:
    """Digest a model in memory; `header` says what it is and where it comes from."""
    image_digest, text_digest = tower_digests(header.config, clip.state_dict())
    return LoadedModel(
        clip=clip,
        model=header.model,
        config=header.config,
        name=header.name,
        image_digest=image_digest,
        text_digest=text_digest,
        logit_scale=float(clip.logit_scale.detach().double().exp()),
        weights_path=weights_path,
        parent=header.parent,
        step=header.step,
        settings=header.settings,
    )


def new_model(model: str, seed: int) -> torch.nn.Module:
    """Return a model with random weights, the same for the same seed."""
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(seed)
        return open_clip.create_model(model, load_weights=False)


def _header(model: str, config: dict, name: str) -> CheckpointHeader:
    return CheckpointHeader(model=model, config=config, name=name, step=0, parent="", settings={})


def _random_model(model: str, config: dict) -> LoadedModel:
    logger.warning(
        "--pretrained none: %s gets RANDOM weights; its numbers mean nothing, use it to try things",
        model,
    )
    return describe(new_model(model, _RANDOM_SEED), _header(model, config, "random"))


def _tagged_model(model: str, config: dict, tag: str) -> LoadedModel:
    quick_gelu = open_clip.get_pretrained_cfg(model, tag).get("quick_gelu", False)
    _require_activation(model, config, quick_gelu, f"weights {tag!r}")
    try:
        with quiet(), offline_if_unreachable():
            clip = open_clip.create_model(model, pretrained=tag)
    except (RuntimeError, OSError) as error:
        raise ModelError(
            f"weights {tag!r} of {model} are not in the cache and cannot be fetched "
            f"({str(error).splitlines()[0][:160]}); download them on a machine with a network "
            "and give the file: --pretrained FILE"
        ) from error
    return describe(clip, _header(model, config, tag))


def _model_from_file(model: str, config: dict, path: Path, token_embedding: str) -> LoadedModel:
    foreign = with_openclip_names(read_weights(path))
    state = foreign.state
    header = read_header(path)
    if header is None:
        header = _header(model, config, _name_of(path))
        if foreign.has_quick_gelu:
            _require_activation(model, config, True, f"{foreign.maker}'s weights in {path}")
        else:
            _warn_of_activation(model, config, path)
    _require_activation(model, config, header.config.get("quick_gelu", False), str(path))
    if header.config != config:
        _refuse_config(model, header, path)
    if foreign.maker == "ViFi-CLIP" and TOKEN_EMBEDDING not in state:
        state[TOKEN_EMBEDDING] = _token_embedding(model, path, token_embedding)
    clip = new_model(model, _RANDOM_SEED)
    attach_prompts(clip, state)
    if "logit_scale" in state and state["logit_scale"].numel() == 1:
        # OpenCLIP's models have one or the other shape; the number is the same.
        state["logit_scale"] = state["logit_scale"].reshape(clip.logit_scale.shape)
    _require_matching_keys(model, path, clip.state_dict(), state)
    clip.load_state_dict(state)
    return describe(clip, header, weights_path=str(path.resolve()))


def _name_of(path: Path) -> str:
    """What the checkpoint in a file of others is called: the file's name, as a store takes it."""
    plain = unicodedata.normalize("NFKD", path.stem).encode("ascii", "ignore").decode()
    return re.sub(r"[^\w.@+=-]+", "-", plain, flags=re.ASCII).strip(".-+@=")[:100] or "weights"


def _refuse_config(model: str, header: CheckpointHeader, path: Path) -> NoReturn:
    if header.model != model:
        raise ModelError(
            f"{path} holds a {header.model}, not a {model}; use --model {header.model}"
        )
    raise ModelError(
        f"{path} holds a {model} of another architecture than this OpenCLIP gives that name; "
        "install the one that it was trained with"
    )


def _token_embedding(model: str, path: Path, source: str) -> torch.Tensor:
    """The token embedding that ViFi-CLIP started from and left as it was."""
    try:
        if Path(source).suffix in WEIGHTS_SUFFIXES:
            state = with_openclip_names(read_weights(Path(source))).state
        else:
            state = load_model(model, source).clip.state_dict()
        return state[TOKEN_EMBEDDING].float()
    except (ModelError, UnknownNameError, KeyError) as error:
        raise ModelError(
            f"{path} is ViFi-CLIP's and holds no token embedding, which is OpenAI's, and that of "
            f"{source!r} cannot be had ({error}); where you have OpenAI's file, make a whole one "
            f"with: vifi convert {path} OUT --model {model} --token-embedding FILE"
        ) from error


def _require_activation(model: str, config: dict, quick_gelu: bool, weights: str) -> None:
    """Raise ModelError where weights and config differ in the activation.

    Nothing in the weights shows it, and the wrong one costs several points of accuracy.
    """
    if config.get("quick_gelu", False) == quick_gelu:
        return
    base = model.removesuffix("-quickgelu")
    right = f"{base}-quickgelu" if quick_gelu else base
    trained = "QuickGELU" if quick_gelu else "GELU"
    hint = f"; use --model {right}" if open_clip.get_model_config(right) else ""
    raise ModelError(f"{weights} were trained with {trained}, which {model} does not use{hint}")


def _warn_of_activation(model: str, config: dict, path: Path) -> None:
    """Say which activation is assumed for a file that does not tell, where both are in use."""
    sibling = model.removesuffix("-quickgelu") if model.endswith("-quickgelu") else None
    sibling = sibling or f"{model}-quickgelu"
    if open_clip.get_model_config(sibling):
        used = "QuickGELU" if config.get("quick_gelu", False) else "GELU"
        logger.warning(
            "%s does not say which activation it was trained with; %s uses %s, use --model %s if "
            "that is wrong (OpenAI's and ViFi-CLIP's weights want QuickGELU)",
            path.name,
            model,
            used,
            sibling,
        )


def _require_matching_keys(model: str, path: Path, expected: dict, found: dict) -> None:
    """Raise ModelError that names every tensor that is missing, surplus or of another shape."""
    shared = expected.keys() & found.keys()
    shapes = [
        f"{key} {list(found[key].shape)} for {list(expected[key].shape)}"
        for key in shared
        if expected[key].shape != found[key].shape
    ]
    faults = [
        f"it {what} {len(keys)} tensors: {', '.join(sorted(keys))}"
        for what, keys in (
            ("lacks", expected.keys() - found.keys()),
            ("also has", found.keys() - expected.keys()),
            ("misshapes", shapes),
        )
        if keys
    ]
    if faults:
        raise ModelError(
            f"{path} does not fit {model}: {'; '.join(faults)}; name the model that it was made "
            "with: --model"
        )
