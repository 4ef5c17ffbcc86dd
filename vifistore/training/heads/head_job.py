"""One job: train a head on cached frames, or take a trained one, and pool a dataset with it."""

import logging
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import torch

from vifistore.cleaning import AS_IS
from vifistore.errors import ModelError, UsageError
from vifistore.extract.class_texts import dataset_class_lists, reload_checkpoint
from vifistore.extract.recipes import choose_device
from vifistore.models.actionclip.temporal_transformer import PoolingShape
from vifistore.models.openclip_model import OpenClipModel, require_openclip
from vifistore.store.features import Features
from vifistore.store.identity import Identity, TunedOn, joined, packed
from vifistore.store.names import check_set_name
from vifistore.store.recipe import Preprocessing
from vifistore.training.heads.a5_prompts import (
    check_text_tower,
    largest_num_prompts,
    tokenise_names,
)
from vifistore.training.heads.head_data import HeadData, read_head_data
from vifistore.training.heads.head_files import (
    Head,
    HeadHeader,
    PromptsShape,
    load_head,
    new_head,
    save_head,
)
from vifistore.training.heads.head_settings import HeadKind, HeadSettings
from vifistore.training.heads.head_texts import head_templates
from vifistore.training.heads.head_training import HeadProgress, fit_head
from vifistore.training.heads.storing import HeadReport, given, store_head

logger = logging.getLogger("vifi")

_FOLDER = Path("heads")


def train_head(
    features: Features,
    checkpoint: dict,
    split: str,
    kind: HeadKind,
    settings: HeadSettings,
    *,
    name: str = "",
    out: Path | None = None,
    device: str = "auto",
    after_epoch: Callable[[HeadProgress], None],
) -> HeadReport:
    """Train a head on the frames of a split, save it, and pool every video of the dataset with it.

    Parameters
    ----------
    features
        A sealed feature set with frames.
    checkpoint
        The checkpoint whose texts its views are to be near.
    split
        Split of the training videos.
    name
        Name of the derived feature set; that of `features` and the head's kind by default.
    out
        File of the head; `heads/<name>-<digest>.safetensors` by default.

    Raises what `read_head_data` and `fit_head` raise; ModelError if the model cannot be loaded,
    UsageError if the name cannot be one or stands for another feature set, and if the file holds
    anything else.
    """
    settings = settings.of(kind)
    name = name or f"{features.name}+{kind}"
    trained_on = {"dataset": features.dataset.name, "split": split, "features": features.id}
    # Refused before training, not after it.
    _require_free(features, name, {"kind": kind, **given(asdict(settings))}, trained_on)
    if out is not None:
        _require_own_file(out, kind, settings, checkpoint, trained_on)
    used = given(vars(settings))
    logger.info("%s with %s", kind, ", ".join(f"{key} {value}" for key, value in used.items()))
    data = read_head_data(features, features.dataset.split(split))
    loaded = _load(checkpoint, device)
    # Names of other splits are scored with the same prompts.
    lists = [data.class_names, *dataset_class_lists(features.dataset)]
    prompts = _prompts_shape(loaded, lists, settings.prompts)
    identity = _identity(features, features.store.identity(checkpoint["digest"]), prompts)
    if settings.epochs is not None:
        own = TunedOn(
            dataset=features.dataset.name,
            split=split,
            class_names=tuple(data.class_names),
            videos=packed(data.digests),
        )
        identity = replace(identity, tuned_on=joined([*identity.tuned_on, own]))
    header = _header(kind, settings, prompts, checkpoint, trained_on, data)
    head = _first_head(replace(header, identity=identity.as_json()))
    last = None
    if settings.epochs is None:
        logger.warning("%s has nothing to learn: it is the mean over frames", kind)
    else:
        # A folder that cannot be made is told before a training is lost for it.
        folder = out.parent if out else _FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        last = fit_head(head, loaded, data, settings, after_epoch=after_epoch)
        head = replace(head, header=replace(head.header, step=last.step))
    path = out or _FOLDER / f"{name}-{head.digest[:8]}.safetensors"
    save_head(path, head)
    # What follows can fail, for a disk that is full: --apply then needs no second training.
    logger.info("the head is in %s", path)
    report = store_head(features, checkpoint, head, path, loaded, name)
    if last is None:
        return report
    return replace(report, steps=last.step, loss=last.loss, accuracy=last.accuracy)


def apply_head(
    features: Features,
    checkpoint: dict,
    path: Path,
    *,
    name: str = "",
    device: str = "auto",
) -> HeadReport:
    """Pool every video of a feature set with a head from a file.

    Raises ModelError if the file is no head, UsageError if it was trained on another checkpoint or
    on another number of frames.
    """
    head = load_head(path)
    _check_fits(head, features, checkpoint, path)
    name = name or f"{features.name}+{head.header.kind}"
    return store_head(features, checkpoint, head, path, _load(checkpoint, device), name)


def _require_free(features: Features, name: str, head: dict, trained_on: dict) -> None:
    """Raise UsageError if a name cannot be one, or is taken.

    It may stand for what the same training gave: that gives the same head again.
    """
    check_set_name(name)
    taken = {known.name: known.id for known in features.dataset.names()}
    if name not in taken:
        return
    stored = features.dataset.features(taken[name]).head or {}
    known = {**stored, **stored.get("trained_on", {})}
    if any(known.get(key) != value for key, value in {**head, **trained_on}.items()):
        raise UsageError(
            f"the name {name!r} of {features.dataset.name} already stands for feature set "
            f"{taken[name]}; give another --name"
        )


def _require_own_file(
    path: Path, kind: HeadKind, settings: HeadSettings, checkpoint: dict, trained_on: dict
) -> None:
    """Raise UsageError if a file is there and holds anything but what the same training gave."""
    if not path.exists():
        return
    try:
        header = load_head(path).header
    except ModelError as error:
        raise UsageError(f"{path} is there and is no head; give another --out") from error
    requested = (kind, asdict(settings), checkpoint["digest"])
    if (header.kind, header.settings, header.parent) != requested or any(
        header.trained_on.get(key) != value for key, value in trained_on.items()
    ):
        raise UsageError(f"{path} holds another head; give another --out, or remove it")


def _load(checkpoint: dict, device: str) -> OpenClipModel:
    chosen = choose_device(device)
    loaded = require_openclip(reload_checkpoint(checkpoint), "heads are trained on frames of")
    loaded.to(chosen)
    return loaded


def _identity(features: Features, parent: Identity, prompts: PromptsShape | None) -> Identity:
    """What a head is trained with: its features' frames and its own prompts."""
    templates = head_templates(prompts)
    known = Identity(templates=templates, cleaning=AS_IS, tuned_on=parent.tuned_on)
    recipe = features.recipe
    if "sampling_rule" not in recipe:
        # Frames that were made elsewhere.
        return known
    sampling = {"rule": recipe["sampling_rule"], "frames": recipe["frames"]}
    pixels = Preprocessing(**recipe["preprocessing"]).for_identity()
    return replace(known, preprocessing=pixels, sampling=sampling)


def _header(
    kind: HeadKind,
    settings: HeadSettings,
    prompts: PromptsShape | None,
    checkpoint: dict,
    trained_on: dict,
    data: HeadData,
) -> HeadHeader:
    _, _, num_frames, dim = data.frames.shape
    counts = {"videos": len(data), "classes": len(data.class_names)}
    return HeadHeader(
        kind=kind,
        pooling=PoolingShape(dim=dim, num_frames=num_frames, layers=settings.layers or 0),
        prompts=prompts,
        image_digest=checkpoint["image_digest"],
        text_digest=checkpoint["text_digest"],
        parent=checkpoint["digest"],
        settings=asdict(settings),
        trained_on={**trained_on, **counts},
        step=0,
    )


def _first_head(header: HeadHeader) -> Head:
    """A head with its first weights, which depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(header.settings["seed"])
        return new_head(header)


def _prompts_shape(
    loaded: OpenClipModel, class_lists: list[list[str]], requested: int | None
) -> PromptsShape | None:
    """As many prompts as asked for, fewer where the names leave less room; None for none."""
    if requested is None:
        return None
    check_text_tower(loaded)
    names = dict.fromkeys(name for class_names in class_lists for name in class_names)
    largest = largest_num_prompts(tokenise_names(loaded, list(names)))
    if requested > largest:
        logger.warning(
            "the context of %s has room for %d vectors on each side of a name, not %d",
            loaded.model,
            largest,
            requested,
        )
    return PromptsShape(
        num_each_side=min(requested, largest),
        context_length=int(loaded.clip.context_length),
        width=loaded.clip.token_embedding.embedding_dim,
    )


def _check_fits(head: Head, features: Features, checkpoint: dict, path: Path) -> None:
    """Raise UsageError if a head was not made for these frames and texts."""
    for tower in ("image", "text"):
        made_for = getattr(head.header, f"{tower}_digest")
        stored = checkpoint[f"{tower}_digest"]
        if made_for != stored:
            raise UsageError(
                f"{path} was trained on {tower} tower {made_for[:12]}, {features.name} is of a "
                f"checkpoint with {stored[:12]}; apply it to features of the checkpoint it was "
                "trained on, or train another head"
            )
    features.require_sealed()
    features.require_array("frames")
    assert features.frames is not None, "require_array has seen them"
    shape, num_frames = head.header.pooling, features.frames.shape[2]
    if head.header.kind != "actionclip-mean" and num_frames != shape.num_frames:
        raise UsageError(
            f"{path} pools views of {shape.num_frames} frames, {features.name} has "
            f"{num_frames}; extract with --frames {shape.num_frames}, or train "
            "another head"
        )
