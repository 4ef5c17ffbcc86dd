"""Which feature sets a search goes through: one per dataset, all by one recipe and checkpoint."""

from collections.abc import Sequence

from vifistore.errors import UnknownNameError, UsageError, short
from vifistore.store.dataset import Dataset
from vifistore.store.features import Features
from vifistore.store.names import Name
from vifistore.store.store import Store


def choose_sources(
    store: Store, features: str = "", dataset: str | Sequence[str] = ""
) -> list[Features]:
    """The feature set called `features` (a name or an id) in every dataset that has it.

    Without a dataset all are searched; each that is named must have it. Without a name there must
    be but one feature set and checkpoint. Raises UnknownNameError for an unknown dataset or feature
    set, UsageError where the choice is not clear.
    """
    datasets = named(dataset)
    known = store.datasets()
    if missing := [name for name in datasets if name not in known]:
        raise UnknownNameError("dataset", missing[0], known)
    names = {name: _names(store.dataset(name)) for name in datasets or known}
    if not features:
        features = _only_one(names)
    chosen = {
        where: features
        for where, of_dataset in names.items()
        if any(features in (name.name, name.id) for name in of_dataset)
    }
    lacking = [name for name in datasets if name not in chosen]
    if lacking and chosen:
        raise UsageError(
            f"{short(features)} is no feature set of {lacking[0]}; make it with vifi extract, or "
            "leave that --dataset out"
        )
    if not chosen:
        known = {name.name for of_dataset in names.values() for name in of_dataset}
        raise UnknownNameError("feature set", features, known)
    sources = [store.features(where, name) for where, name in chosen.items()]
    _check_alike(sources, features)
    return sources


def named(names: str | Sequence[str]) -> tuple[str, ...]:
    """Several names, each once; of a single one that is empty none."""
    if isinstance(names, str):
        return (names,) if names else ()
    return tuple(dict.fromkeys(names))


def _names(dataset: Dataset) -> list[Name]:
    """Every name of a dataset's feature sets; one without a name stands for itself."""
    names = dataset.names()
    named = {name.id for name in names}
    bare = [n for n in dataset.feature_ids() if n not in named]
    return [*names, *(Name(name=n, id=n, checkpoint="") for n in bare)]


def _only_one(names: dict[str, list[Name]]) -> str:
    every = [name for of_dataset in names.values() for name in of_dataset]
    if not every:
        raise UsageError("this store has no feature set yet; make one with vifi extract")
    kinds = {(name.id, name.checkpoint) for name in every}
    if len(kinds) == 1:
        return every[0].name if len({name.name for name in every}) == 1 else every[0].id
    listed = ", ".join(sorted({name.name for name in every}))
    raise UsageError(f"this store has several feature sets: {listed}; choose one with --features")


def _check_alike(sources: list[Features], features: str) -> None:
    kinds = {(source.id, source.checkpoint) for source in sources}
    if len(kinds) > 1:
        where = ", ".join(source.dataset.name for source in sources)
        raise UsageError(
            f"{features} stands for other embeddings in each of {where}; choose one with --dataset"
        )
