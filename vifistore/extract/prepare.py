"""What an extraction will be, settled before anything is written."""

import logging
import re
from dataclasses import dataclass, replace

import torch

from vifistore.cleaning import cleaning_field
from vifistore.errors import UsageError, shell
from vifistore.extract.class_texts import dataset_class_lists
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.origin import say_origin
from vifistore.extract.rates import with_room, with_room_of_before
from vifistore.extract.recipes import choose_device, require_decoder, resolve_recipe, settled
from vifistore.models.encoders import LoadedModel
from vifistore.models.towers import load_model
from vifistore.store.dataset import Dataset
from vifistore.store.feature_record import FRAME_COUNTS, NUM_VALID, FurtherArray
from vifistore.store.names import Name, require_free
from vifistore.store.recipe import Recipe
from vifistore.store.writer import Shape

# What a model may be called, and a feature set may not.
_NO_NAME = re.compile(r"[^A-Za-z0-9_.@+=-]+")

logger = logging.getLogger("vifi")


@dataclass(frozen=True, kw_only=True)
class Job:
    """An extraction that nothing speaks against, before anything is written."""

    dataset: Dataset
    settings: ExtractSettings
    """With nothing left open but `auto` for precision and device."""
    loaded: LoadedModel
    recipe: Recipe
    device: torch.device
    name: str
    """What the feature set will be called."""
    num_videos: int
    """Of the dataset when this was prepared: it may grow meanwhile."""

    @property
    def shape(self) -> Shape:
        """Lengths of the axes of the feature set."""
        return Shape(
            video=self.num_videos,
            view=self.settings.num_views,
            frame=self.recipe.outputs or self.settings.num_frames,
            dim=self.loaded.dim,
        )

    @property
    def further(self) -> dict[str, FurtherArray]:
        """The arrays that the set has beside those of all."""
        counts = {NUM_VALID: FRAME_COUNTS} if self.recipe.has_rate else {}
        return {**self.loaded.further, **counts}


def prepare(
    dataset: Dataset,
    settings: ExtractSettings,
    loaded: LoadedModel | None = None,
    *,
    must_be_free: bool = True,
) -> Job:
    """Load the model and settle what is left open.

    A default name that stands for another set is refused, or, unless it `must_be_free`, gets what
    tells the two apart behind it. Raises UsageError for that, for rows of very different lengths
    where a rate is asked for, for a set of the recipe that has further arrays, for class names that
    become equal, and for a device, a precision or a preprocessing that cannot be had; and as
    `load_model` does.
    """
    # Before a model is loaded, which takes its time.
    require_decoder(settings)
    loaded = loaded or load_model(settings.model, settings.pretrained, weights=settings.weights)
    asked, settings = settings, settled(with_room(dataset, settings, loaded), loaded)
    first = resolve_recipe(settings, loaded)
    settings = with_room_of_before(dataset, settings, asked, first)
    recipe = continued_recipe(dataset, settings, loaded)
    loaded = _keeping(dataset, settings, loaded, recipe.id)
    _require_extracted(dataset, recipe.id, loaded)
    loaded = _as_named_before(dataset, settings, loaded, recipe.id)
    say_origin(asked, settings, loaded, recipe, dataset.class_names())
    for class_names in dataset_class_lists(dataset):
        cleaning_field(class_names, settings.class_names)
    name = settings.name or _default_name(dataset, settings, loaded, recipe.id, must_be_free)
    # Refused before anything is written, so that a wrong --name leaves no trace.
    require_free(dataset, name, recipe.id, loaded.digest)
    return Job(
        dataset=dataset,
        settings=settings,
        loaded=loaded,
        recipe=recipe,
        device=choose_device(settings.device),
        name=name,
        num_videos=dataset.num_videos,
    )


def _keeping(
    dataset: Dataset, settings: ExtractSettings, loaded: LoadedModel, feature_id: str
) -> LoadedModel:
    """The encoder with the optional arrays that are asked for, or that its set has already."""
    names = loaded.optional.keys()
    if settings.keep_tokens and not names:
        raise UsageError(
            f"--keep-tokens keeps what texts that follow the video are made from, and those of "
            f"{loaded.model} follow none; leave it out"
        )
    is_wanted = settings.keep_tokens
    if feature_id in dataset.feature_ids():
        is_wanted = names <= dataset.features(feature_id).declared.keys()
        if settings.keep_tokens and not is_wanted:
            # By its id alone a set is refused to be removed: its names need it.
            called = dataset.features(feature_id).names or [feature_id]
            places = [f"{dataset.name}/{name}" for name in called]
            raise UsageError(
                f"feature set {feature_id} of {dataset.name} was made without --keep-tokens; go on "
                "without, or encode its videos again: "
                f"{shell('vifi', 'rm', dataset.store.path, *places)}, then this command"
            )
    return replace(loaded, further={**loaded.further, **loaded.optional}) if is_wanted else loaded


def _as_named_before(
    dataset: Dataset, settings: ExtractSettings, loaded: LoadedModel, feature_id: str
) -> LoadedModel:
    """The encoder without its bias where its set was named before sigmoids were scored: such a set
    grows, and is scored, as it was."""
    names = (settings.name,) if settings.name else default_names(settings, loaded)
    softmax = (loaded.softmax_digest, feature_id)
    found = [n for n in dataset.names() if n.name in names and (n.checkpoint, n.id) == softmax]
    if loaded.logit_bias is None or not found:
        return loaded
    logger.info(
        "%s goes on with the softmax that it was named for; under another --name it is scored by "
        "the sigmoid that %s was trained with, and no video is encoded again",
        *(found[0].name, loaded.model),
    )
    return replace(loaded, logit_bias=None)


def _require_extracted(dataset: Dataset, feature_id: str, loaded: LoadedModel) -> None:
    """Raise UsageError for a set with arrays that are not encoded here: a block has them all."""
    if feature_id not in dataset.feature_ids():
        return
    features = dataset.features(feature_id)
    has_rate = features.recipe.get("fps") or features.recipe.get("every")
    own = {*loaded.further, *((NUM_VALID,) if has_rate else ())}
    if further := sorted(features.declared.keys() - own):
        raise UsageError(
            f"feature set {feature_id} of {dataset.name} has {' and '.join(further)} beside its "
            "frames, which vifi extract does not make; go on with the program that wrote it, or "
            f"remove it first: {shell('vifi', 'rm', dataset.store.path, f'{dataset}/{feature_id}')}"
        )


def continued_recipe(dataset: Dataset, settings: ExtractSettings, loaded: LoadedModel) -> Recipe:
    """The recipe of the settings; precision `auto` is that of the one feature set that differs in
    nothing else, else this machine's own.

    Another machine would choose another precision, and begin a second set instead of going on.
    Raises as `resolve_recipe` does.
    """
    own = resolve_recipe(settings, loaded)
    if settings.precision != "auto":
        return own
    rest = {**own.as_dict(), "precision": ""}
    recipes = [dataset.features(name).recipe for name in dataset.feature_ids()]
    precisions = [r["precision"] for r in recipes if {**r, "precision": ""} == rest]
    if len(precisions) != 1:
        logger.info("precision %s, chosen for this machine", own.precision)
        return own
    logger.info("precision %s, that of the feature set this goes on with", precisions[0])
    return replace(own, precision=precisions[0])


def default_names(settings: ExtractSettings, loaded: LoadedModel) -> tuple[str, ...]:
    """Return the names that a set may get, the shortest first.

    A checkpoint of a run says its run and step (`full@step-500`), which is enough until another
    model, or another number of frames or views, has made a set of that name; the last one carries
    model, checkpoint, frames and views.
    """
    views = "" if settings.num_views == 1 else f".{settings.clips}x{settings.crops}v"
    stride = f".{settings.stride}s" if settings.stride else ""
    frames = f"{settings.frames}f"
    if settings.has_rate:
        frames = f"every{settings.every}" if settings.every else f"{settings.fps:g}fps"
    model = _NO_NAME.sub("-", loaded.model).lstrip("-")
    whole = f"{model}@{loaded.name}.{frames}{stride}{views}"
    return (loaded.name, whole) if "@" in loaded.name else (whole,)


def _default_name(
    dataset: Dataset,
    settings: ExtractSettings,
    loaded: LoadedModel,
    recipe_id: str,
    must_be_free: bool,
) -> str:
    """The default name that the set has already, else the first that is free, else the last one.

    Unless that `must_be_free`, the digest follows it where another checkpoint has it, and the id
    where the checkpoint itself has it for another feature set: so it is when a run is made again,
    with other settings, in the folder of an older one.
    """
    names = default_names(settings, loaded)
    taken: dict[str, Name] = {name.name: name for name in dataset.names()}
    for name in names:
        if name in taken and (taken[name].checkpoint, taken[name].id) == (loaded.digest, recipe_id):
            return name
    if free := [name for name in names if name not in taken]:
        return free[0]
    is_other = taken[names[-1]].checkpoint != loaded.digest
    suffix = "" if must_be_free else f".{loaded.digest if is_other else recipe_id}"
    return names[-1] + suffix
