"""Which text embeddings a checkpoint is scored with: those of its own prompts, unless asked."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from vifistore.cleaning import AS_IS, cleaning
from vifistore.errors import UsageError, first_few
from vifistore.store.checkpoints import trained_with
from vifistore.store.described import DESCRIPTIONS, Descriptions, texts_in_order
from vifistore.store.logit_bias import scored_by
from vifistore.store.store import Store
from vifistore.store.texts import Texts


def find_texts(
    store: Store,
    checkpoint: Mapping,
    class_names: Sequence[str],
    templates: Sequence[str] = (),
    how: str = "",
) -> str:
    """Id of the one text set by a checkpoint that holds all of `class_names`.

    Where `templates` or the cleaning `how` are given they must be those of the set; where not, what
    the checkpoint was trained with wins over others. A set of exactly these names wins over one
    that holds more. Raises UsageError when none or several fit.
    """
    trained = trained_with(checkpoint)
    fitting = fitting_texts(store, checkpoint, class_names, templates, how)
    if not templates:
        fitting = _preferred(fitting, lambda t: tuple(t["templates"]) == trained.templates)
    if not how and trained.cleaning:
        words = _words(class_names, trained.cleaning)
        fitting = _preferred(fitting, lambda t: _words(class_names, cleaning_of(t)) == words)
    fitting = _preferred(fitting, lambda t: len(t["class_names"]) == len(class_names))
    # Larger sets made in one way hold the same vectors of these classes: any of them will do.
    ways = {_way(t, class_names): t for t in fitting}
    if len(ways) == 1:
        return next(iter(ways.values()))["id"]
    name = checkpoint["names"][0] if checkpoint["names"] else checkpoint["digest"]
    if not fitting:
        raise UsageError(
            f"no text embeddings of these {len(class_names)} classes by checkpoint {name}; make "
            "them with `vifi texts`"
        )
    listed = [f"{t['id']} ({_described(t)})" for t in ways.values()]
    raise UsageError(
        f"several text sets fit: {first_few(listed, 3, 90)}; choose one with --template and "
        "--class-names"
    )


def fitting_texts(
    store: Store,
    checkpoint: Mapping,
    class_names: Sequence[str],
    templates: Sequence[str] = (),
    how: str = "",
) -> list[dict]:
    """Text sets of a checkpoint that hold all of `class_names`; only those of these templates, and
    with names cleaned to the same words as by `how`, where they are given. None are descriptions,
    see `find_descriptions`."""
    fields = {**scored_by(checkpoint), DESCRIPTIONS: None}
    if templates:
        fields["templates"] = list(templates)
    fitting = [t for t in store.find_texts(**fields) if set(class_names) <= set(t["class_names"])]
    if not how:
        return fitting
    words = _words(class_names, how)
    return [t for t in fitting if _words(class_names, cleaning_of(t)) == words]


def find_descriptions(
    store: Store, checkpoint: Mapping, class_names: Sequence[str], descriptions: Descriptions
) -> str:
    """Id of a text set by a checkpoint that holds these texts of these classes, and may hold more;
    empty for none. Raises UsageError for a class without texts."""
    wanted = dict(zip(class_names, texts_in_order(class_names, descriptions), strict=True))
    for found in store.find_texts(**scored_by(checkpoint)):
        if texts := found.get(DESCRIPTIONS):
            known = dict(zip(found["class_names"], texts, strict=False))
            if all(known.get(name) == texts for name, texts in wanted.items()):
                return found["id"]
    return ""


def cleaning_of(texts: Mapping) -> str:
    """How the class names in the prompts of a text set are cleaned."""
    return texts.get("cleaning", AS_IS)


def places_in(texts: Texts, class_names: Sequence[str]) -> list[int]:
    """Where each class is in a text set.

    Raises UsageError for one that is not in it, and for a set of other classes than it says.
    """
    known = {name: index for index, name in enumerate(texts.attrs["class_names"])}
    if len(known) != len(texts.embeddings):
        raise UsageError(
            f"text set {texts.id} has {len(texts.embeddings)} embeddings for {len(known)} "
            "different class names; make it again with `vifi texts`"
        )
    missing = [name for name in class_names if name not in known]
    if missing:
        raise UsageError(
            f"text set {texts.id} lacks {len(missing)} of {len(class_names)} classes (first: "
            f"{missing[0]!r}); make one of these classes with `vifi texts`"
        )
    return [known[name] for name in class_names]


def _preferred(sets: list[dict], is_wanted: Callable[[dict], bool]) -> list[dict]:
    return [texts for texts in sets if is_wanted(texts)] or sets


def _way(texts: Mapping, class_names: Iterable[str]) -> tuple:
    """What two text sets that hold the same vectors of these classes agree in."""
    fields = tuple(texts["templates"]), texts["context_length"], texts["precision"]
    return (*fields, *_words(class_names, cleaning_of(texts)))


def _words(class_names: Iterable[str], how: str) -> tuple[str, ...]:
    """Class names as prompts have them. Raises UnknownNameError for an unknown cleaning."""
    return tuple(map(cleaning(how), class_names))


def _described(texts: Mapping) -> str:
    """A text set in a message: its first templates, and how class names in them are cleaned."""
    templates = first_few(texts["templates"], between=" | ")
    how = cleaning_of(texts)
    return templates if how == AS_IS else f"{templates}, class names {how}"
