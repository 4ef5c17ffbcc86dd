"""What `vifi train` takes for a flag that is not given, where another one decides it."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from vifi.command_line.console import is_given
from vifistore.errors import VifiError
from vifistore.store.store import Store
from vifistore.training.training_settings import TrainSettings

logger = logging.getLogger("vifi")


def with_fitting_warmup(
    settings: TrainSettings, epochs: int, arguments: Sequence[str]
) -> TrainSettings:
    """Settings of a preset whose warm-up, unless given, ends within so many epochs.

    One that would not is made the share of the run that it is of the preset's.
    """
    if is_given("--warmup-epochs", arguments) or not 0 < epochs <= settings.warmup_epochs:
        return settings
    warmup = settings.warmup_epochs * epochs / settings.epochs
    logger.info(
        "a warm-up of %g epochs does not fit into %d: it takes %g, the same share of the run; "
        "--warmup-epochs says otherwise",
        *(settings.warmup_epochs, epochs, warmup),
    )
    return replace(settings, warmup_epochs=warmup)


def with_frames_of(
    settings: TrainSettings, store: Store, dataset: str, features: str, arguments: Sequence[str]
) -> TrainSettings:
    """Settings with the frames of the feature set that is trained on, unless --frames is given."""
    if not features or is_given("--frames", arguments):
        return settings
    try:
        frames = store.features(dataset, features).recipe.get("frames", settings.num_frames)
    except VifiError:
        # It is told with all else that is wrong.
        return settings
    if frames == settings.num_frames:
        return settings
    logger.info("%s has %s frames per video, and all are trained on", features, frames)
    return replace(settings, num_frames=frames)
