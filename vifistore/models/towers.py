"""OpenCLIP models: found by name, loaded from a tag, a file or random weights, and digested."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import torch

from vifistore.errors import ModelError, UnknownNameError, UsageError, first_line, shell, short
from vifistore.models.checkpoint_files import CheckpointHeader, read_header
from vifistore.models.config_files import WEIGHTS_SUFFIXES
from vifistore.models.encoders import LoadedModel
from vifistore.models.file_kinds import checkpoint_name, refuse_other_files
from vifistore.models.foreign import TOKEN_EMBEDDING, ForeignWeights, with_openclip_names
from vifistore.models.header_checks import (
    check_activation,
    checked_header,
    require_activation,
    require_digest,
)
from vifistore.models.hf.hf_folder import HfSource, find_source
from vifistore.models.hf.hf_model import load_hf
from vifistore.models.hf.hf_xclip import xclip_file
from vifistore.models.hub import offline_if_unreachable, quiet
from vifistore.models.load_settings import HF_PREFIX, RANDOM, WeightsSettings, tell_random
from vifistore.models.openclip_model import OpenClipModel, describe
from vifistore.models.openclip_parts import Clip
from vifistore.models.plugins.plugin_model import load_plugin
from vifistore.models.preprocessing import (
    at_size,
    from_header,
    from_maker,
    from_tag,
    from_tags,
)
from vifistore.models.prompt_learning import attach_prompts
from vifistore.models.registry import OPENAI, activation_sibling, model_config, open_clip
from vifistore.models.run_weights import weights_file
from vifistore.models.skeletons import (
    empty_model,
    make_model,
    new_model,
    require_size,
    sized,
    take_texts,
)
from vifistore.models.system_modules import added_in, attach_added
from vifistore.models.weight_fit import fitted, settings_of_others
from vifistore.models.weights import read_weights
from vifistore.store.identity import Identity

logger = logging.getLogger("vifi")

_RANDOM_SEED = 0


def load_model(
    model: str,
    pretrained: str,
    *,
    device: str = "cpu",
    token_embedding: str = OPENAI,
    weights: WeightsSettings | None = None,
) -> LoadedModel:
    """Load a model in float32, ready to encode.

    Parameters
    ----------
    model
        OpenCLIP model name, for instance `ViT-B-16-quickgelu`; `hf:ORG/NAME` or `hf:FOLDER` of
        transformers; or an encoder of another package, by `module:function` or the name of its
        entry point (see `vifistore.models.plugins`).
    pretrained
        A weights tag of that model (`openai`), a file that vifi, OpenCLIP, OpenAI, transformers or
        ViFi-CLIP wrote, or `none` for random weights, which are the same every time. Of
        `hf:ORG/NAME` a revision, or nothing; of `hf:FOLDER` nothing.
    token_embedding
        Tag or file of the weights that give the token embedding to files of ViFi-CLIP, which have
        none.
    weights
        Which weights of a file, and for pictures of which size.

    Raises
    ------
    UnknownNameError
        If the model or the tag does not exist.
    ModelError
        If weights cannot be had, or belong to another architecture or activation.
    """
    weights = weights or WeightsSettings()
    loaded: LoadedModel | None = None
    if model.startswith(HF_PREFIX):
        loaded = _of_transformers(find_source(model, pretrained), token_embedding, weights)
    elif model not in open_clip.list_models():
        loaded = load_plugin(model, pretrained, weights)
    loaded = loaded or load_openclip(model, pretrained, token_embedding, weights)
    loaded.to(device)
    return loaded


def _of_transformers(
    source: HfSource, token_embedding: str, weights: WeightsSettings
) -> LoadedModel:
    """A model of transformers by its own class, or an X-CLIP by ours."""
    if (file := xclip_file(source)) is None:
        return load_hf(source, weights)
    loaded = load_openclip(file.model, str(file.path), token_embedding, weights)
    return replace(loaded, name=source.name)


def load_openclip(
    model: str, pretrained: str, token_embedding: str, weights: WeightsSettings
) -> OpenClipModel:
    """As `load_model`, a model of OpenCLIP."""
    config = model_config(model)
    if weights.image_size:
        config = sized(config, weights.image_size)
    is_tag = pretrained in (tags := open_clip.list_pretrained_tags_by_model(model))
    if weights.ema_weights and (is_tag or pretrained == RANDOM):
        raise UsageError(
            f"--ema-weights chooses in a file, and {pretrained!r} is none; leave it out"
        )
    if pretrained == RANDOM:
        loaded = _random_model(model, config)
    elif is_tag:
        loaded = _tagged_model(model, config, pretrained)
    elif Path(pretrained).suffix in WEIGHTS_SUFFIXES or os.path.isdir(pretrained):
        loaded = _model_from_file(
            model, config, weights_file(Path(pretrained)), token_embedding, weights
        )
    else:
        remedy = f"A file must end in {', '.join(WEIGHTS_SUFFIXES)}."
        raise UnknownNameError(f"weights of {model}", pretrained, [*tags, RANDOM], remedy)
    if weights.image_size:
        require_size(loaded.clip, model)
    loaded.clip.eval().requires_grad_(False)
    return loaded


def _header(model: str, config: dict, name: str) -> CheckpointHeader:
    return CheckpointHeader(model=model, config=config, name=name, step=0, parent="", settings={})


def _random_model(model: str, config: dict) -> OpenClipModel:
    tell_random(model)
    return describe(new_model(model, _RANDOM_SEED, config), _header(model, config, "random"))


def _tagged_model(model: str, config: dict, tag: str) -> OpenClipModel:
    quick_gelu = open_clip.get_pretrained_cfg(model, tag).get("quick_gelu", False)
    require_activation(model, config, quick_gelu, f"weights {tag!r}")
    try:
        with quiet(), offline_if_unreachable():
            clip = make_model(model, config, pretrained=tag, load_weights=True)
    except (RuntimeError, OSError) as error:
        raise ModelError(
            f"weights {tag!r} of {model} are not in the cache and cannot be fetched "
            f"({first_line(error)}); download them on a machine with a "
            "network and give the file: --pretrained FILE"
        ) from error
    identity, words = from_tag(clip, model, tag)
    header = replace(_header(model, config, tag), identity=identity)
    return describe(clip, header, preprocessing_from=words)


def _model_from_file(
    model: str, config: dict, path: Path, token_embedding: str, weights: WeightsSettings
) -> OpenClipModel:
    refuse_other_files(path)
    header = read_header(path)
    if header is not None:
        header = checked_header(model, config, header, path)
        config = config if weights.image_size else header.config
    clip = empty_model(model, config)
    size = sum(t.numel() * t.element_size() for t in clip.state_dict().values())
    foreign = with_openclip_names(
        read_weights(path, model=model, model_bytes=size, ema=weights.ema_weights), path
    )
    state = foreign.state
    lacks_tokens = foreign.maker == "ViFi-CLIP" and TOKEN_EMBEDDING not in state
    if lacks_tokens:
        # Its own is fetched once everything else is known to fit.
        state[TOKEN_EMBEDDING] = torch.zeros_like(clip.token_embedding.weight)
    settings = settings_of_others(path, clip, state) if header is None else {}
    texts = take_texts(clip, state)
    attach_prompts(clip, state)
    system = header.system if header else foreign.system or added_in(state)
    attach_added(clip, system, state)
    options = {"resize": bool(weights.image_size), "quick_gelu": foreign.quick_gelu}
    state = fitted(path, model, clip, state, **options)
    if header is None:
        check_activation(model, config, foreign, path)
    if lacks_tokens:
        state[TOKEN_EMBEDDING] = _token_embedding(model, path, token_embedding, clip)
    clip.load_state_dict(state)
    identity, words = _identity(clip, model, config, header, foreign, path)
    if header is None:
        settings |= {"weights": "ema"} if weights.ema_weights else {}
        settings |= {"system": system["name"]} if system else {}
        name = checkpoint_name(path) + ("-ema" if weights.ema_weights else "")
        header = replace(_header(model, config, name), settings=settings, system=system)
    # Resized weights are others than those that the header has the digest of.
    digest = header.digest if header.config == config else ""
    known = replace(header, config=config, digest=digest, identity=identity)
    told = {"weights_path": str(path.resolve()), "preprocessing_from": words}
    loaded = describe(clip, known, texts=texts, **told)
    require_digest(known, loaded, path)
    return loaded


def _identity(
    clip: Clip,
    model: str,
    config: dict,
    header: CheckpointHeader | None,
    foreign: ForeignWeights,
    path: Path,
) -> tuple[Identity, str]:
    """What a file was trained with, and whose word its preprocessing is; what nobody says is
    assumed."""
    if header is not None:
        said = header.identity if header.config == config else at_size(header.identity, clip)
        return from_header(clip, model, said, path)
    if foreign.maker in ("OpenAI", "ViFi-CLIP", "ActionCLIP", "X-CLIP"):
        return from_maker(clip, foreign.maker, foreign.state)
    identity, words = from_tags(clip, model)
    if foreign.quick_gelu is None and activation_sibling(model):
        identity = replace(identity, assumed=(*identity.assumed, "activation"))
    return identity, words


def _token_embedding(model: str, path: Path, source: str, clip: Clip) -> torch.Tensor:
    """The token embedding that ViFi-CLIP started from and left as it was."""
    try:
        if Path(source).suffix in WEIGHTS_SUFFIXES:
            state = with_openclip_names(read_weights(Path(source)), Path(source)).state
        else:
            state = load_openclip(model, source, OPENAI, WeightsSettings()).clip.state_dict()
        return state[TOKEN_EMBEDDING].float().reshape(clip.token_embedding.weight.shape)
    except (ModelError, UnknownNameError, KeyError, RuntimeError) as error:
        again = ("vifi", "convert", "FILE", "OUT", "--model", model, "--token-embedding", "FILE")
        raise ModelError(
            f"{short(path.name)} is ViFi-CLIP's and holds no token embedding, which is OpenAI's, "
            f"and that of {short(source, 40)!r} cannot be had ({first_line(error, 70)}); where "
            f"you have OpenAI's file, make a whole one with: {shell(*again)}"
        ) from error
