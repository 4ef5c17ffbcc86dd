"""What a feature set is called that nobody named."""

from collections.abc import Callable

from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.recipes import settled
from vifistore.models.towers import LoadedModel
from vifistore.store.dataset import Dataset
from vifistore.store.names import Name


def default_names(settings: ExtractSettings, loaded: LoadedModel) -> tuple[str, ...]:
    """Return the names that a set may get, the shortest first.

    A checkpoint of a run says its run and step (`full@step-500`), which is enough until another
    model, or another number of frames or views, has made a set of that name; the last one carries
    model, checkpoint, frames and views.
    """
    settings = settled(settings, loaded)
    views = "" if settings.num_views == 1 else f".{settings.clips}x{settings.crops}v"
    whole = f"{loaded.model}@{loaded.name}.{settings.frames}f{views}"
    return (loaded.name, whole) if "@" in loaded.name else (whole,)


def choose_name(
    dataset: Dataset,
    settings: ExtractSettings,
    loaded: LoadedModel,
    recipe_id: Callable[[], str],
) -> str:
    """Return the default name that the set has already, else the first that is free.

    Where none is, it is the last one, which then stands for another set. `recipe_id` is asked for
    the id of the set only where a name is taken.
    """
    names = default_names(settings, loaded)
    taken: dict[str, Name] = {name.name: name for name in dataset.names()}
    for name in (name for name in names if name in taken):
        found = taken[name]
        if (found.checkpoint, found.id) == (loaded.digest, recipe_id()):
            return name
    return next((name for name in names if name not in taken), names[-1])
