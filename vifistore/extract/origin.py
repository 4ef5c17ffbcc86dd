"""Says what an extraction takes from its checkpoint, and what it does otherwise."""

import logging
from collections.abc import Mapping, Sequence

from vifistore.extract.extract_settings import EncodeSettings, PixelSettings
from vifistore.models.encoders import LoadedModel
from vifistore.models.preprocessing import FROM_HEADER
from vifistore.store.as_trained import differences
from vifistore.store.recipe import Preprocessing, Recipe

logger = logging.getLogger("vifi")

_OVERRIDE = "--preprocess, --mean, --std, --interpolation and --resize-mode choose another"


def say_origin(
    asked: EncodeSettings,
    used: EncodeSettings,
    loaded: LoadedModel,
    recipe: Recipe,
    class_names: Sequence[str],
) -> None:
    """Log whose preprocessing, frames and texts are taken; `used` is what became of `asked`."""
    say_preprocessing(asked, recipe.preprocessing, loaded)
    trained = loaded.identity
    found = not_as_trained(loaded, recipe) | differences(
        trained, templates=used.template, how=used.class_names, class_names=class_names
    )
    if found:
        told = "; ".join(f"{what.replace('_', ' ')} {how}" for what, how in found.items())
        logger.warning("not as %s was trained: %s", loaded.name, told)
    elif trained.frames:
        texts = ", ".join(f"“{template}”" for template in trained.templates)
        logger.info(
            "as %s was trained: %d frames, template %s, class names %s",
            *(loaded.name, trained.frames, texts, trained.cleaning),
        )


def say_preprocessing(asked: PixelSettings, used: Preprocessing, loaded: LoadedModel) -> None:
    """Log a preprocessing, and from where it is."""
    if asked.preprocess or asked.parts:
        logger.info("preprocessing %s, as asked for", in_words(used))
        return
    is_said = loaded.preprocessing_from == FROM_HEADER
    hint = "" if is_said else f"; {_OVERRIDE}"
    logger.info("preprocessing %s, %s%s", in_words(used), loaded.preprocessing_from, hint)


def not_as_trained(loaded: LoadedModel, recipe: Recipe) -> dict[str, str]:
    """What of a recipe differs from the training of its checkpoint."""
    pixels: Mapping = recipe.as_dict()["preprocessing"]
    return differences(loaded.identity, preprocessing=pixels, frames=recipe.frames)


def in_words(pixels: Preprocessing) -> str:
    """A preprocessing in a line."""
    mean, std = (" ".join(f"{number:.3g}" for number in c) for c in (pixels.mean, pixels.std))
    how = f"{pixels.interpolation}, {pixels.resize_mode}, {pixels.size} pixels"
    return f"{pixels.name} (mean {mean}, std {std}, {how})"
