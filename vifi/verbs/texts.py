"""`vifi texts S`: encode class names with a checkpoint's text tower."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from vifi.command_line.command_log import remember_command
from vifi.command_line.console import parse, print_json, say
from vifi.command_line.shared_arguments import PrintArguments, StoreArguments
from vifi.command_line.template_sets import expand
from vifistore.errors import Faults, UsageError
from vifistore.models.config_files import model_faults
from vifistore.models.load_settings import WeightsSettings
from vifistore.models.wording import check_templates
from vifistore.store import open_store
from vifistore.store.described import Descriptions, read_descriptions, texts_in_order

if TYPE_CHECKING:
    from vifistore.models.encoders import LoadedModel
    from vifistore.store.dataset import Dataset
    from vifistore.store.store import Store

logger = logging.getLogger("vifi")


@dataclass(frozen=True, kw_only=True)
class TextsArguments(PrintArguments, StoreArguments):
    """Encode the class names of a dataset, and of its splits, with a checkpoint's text tower."""

    dataset: str
    """Dataset whose class names are encoded."""
    model: str
    """OpenCLIP model name; hf:ORG/NAME or hf:FOLDER of transformers."""
    pretrained: str = ""
    """Weights: a tag such as openai, a .safetensors or .pt file, or none for random ones. hf:
    models have theirs: give nothing, or a revision of the hub."""
    weights: WeightsSettings = field(default_factory=WeightsSettings)
    template: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Prompt of a class name, {} standing for it, or a named set (paper, bare, kinetics,
    actionclip); repeat for several. Default: the one that the checkpoint was trained with, else
    a photo of a {}."""
    class_names: Literal["", "as-is", "spaces", "words"] = ""
    """Words of a class name in a prompt: as-is, spaces (no underscores) or words (CamelCase split
    as well). Default: as the checkpoint was trained, else as-is."""
    descriptions: Path | None = None
    """JSON file {class: [texts]} of what classes are described by, instead of templates of their
    names; lists of classes that it covers are encoded."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code.

    Raises UsageError for a dataset without classes, ModelError for weights that do not fit.
    """
    wanted = parse("texts", TextsArguments, arguments)
    given, found = expand(wanted.template), Faults()
    found.attempt(check_templates, given)
    model_faults(found, wanted.model, wanted.pretrained)
    told = "--descriptions are texts as they are; leave out --template and --class-names"
    found.check(not (wanted.descriptions and (given or wanted.class_names)), told)
    found.refuse()
    described = None if wanted.descriptions is None else read_descriptions(wanted.descriptions)
    store = open_store(wanted.store, mode="a")
    dataset = store.dataset(wanted.dataset)
    if not dataset.class_names() and not dataset.splits():
        raise UsageError(
            f"no video of {wanted.dataset} has a label, so there are no class names to encode; "
            "scan it with labels"
        )

    lists = _class_lists(dataset, described)

    from vifistore.models.towers import load_model

    loaded = load_model(wanted.model, wanted.pretrained, weights=wanted.weights)
    if described is not None and loaded.video_texts:
        raise UsageError(
            f"the texts of {wanted.model} follow each video, so that descriptions cannot be "
            "compared with frames; leave out --descriptions"
        )
    store.add_checkpoint(loaded.record(), loaded.identity)
    made, words = _make_texts(store, loaded, lists, wanted, described)
    if loaded.video_texts:
        _make_cosines(dataset, loaded, [texts["id"] for texts in made])
    remember_command(store)
    if wanted.json:
        print_json({"texts": made})
    else:
        for texts in made:
            say(f"texts {texts['id']}: {texts['classes']} classes, {words}")
    return 0


def _class_lists(dataset: "Dataset", described: Descriptions | None) -> list[list[str]]:
    """Those of the dataset; of a file of descriptions those whose every class it has, if there
    are any. Raises UsageError for one that lacks classes of all of them."""
    from vifistore.extract.class_texts import dataset_class_lists

    lists = dataset_class_lists(dataset)
    if described is None:
        return lists
    covered = [names for names in lists if set(names) <= described.keys()]
    if not covered:
        texts_in_order(min(lists, key=lambda names: len(set(names) - described.keys())), described)
    return covered


def _make_texts(
    store: "Store",
    loaded: "LoadedModel",
    lists: list[list[str]],
    wanted: TextsArguments,
    described: Descriptions | None,
) -> tuple[list[dict], str]:
    """Id and number of classes of the text set of each list, and in words what the texts are."""
    from vifistore.extract.class_texts import ensure_descriptions, ensure_texts
    from vifistore.models.text_embedding import default_cleaning, default_templates

    if described is not None:
        made = [(ensure_descriptions(store, loaded, names, described), names) for names in lists]
        words = f"described by {wanted.descriptions}"
    else:
        templates = expand(wanted.template) or default_templates(loaded)
        how = wanted.class_names or default_cleaning(loaded)
        made = [(ensure_texts(store, loaded, names, templates, how), names) for names in lists]
        words = f"{', '.join(templates)}, class names {how}"
    return [{"id": texts, "classes": len(names)} for texts, names in made], words


def _make_cosines(dataset: "Dataset", loaded: "LoadedModel", texts: list[str]) -> None:
    """Cosines with them for every feature set of the encoder that keeps what they are made of;
    what others take is said."""
    from vifistore.extract.cosines_from_tokens import ensure_cosines
    from vifistore.store.similarities import lacking_cosines
    from vifistore.store.similarity_costs import without_tokens

    names = {name.id: name.name for name in dataset.names() if name.checkpoint == loaded.digest}
    for features in map(dataset.features, names.values()):
        if not (lacking := lacking_cosines(features, texts)):
            continue
        if ensure_cosines(features, loaded, lacking):
            logger.info(
                "cosines of %s with %d text sets, from its patch tokens",
                *(features.name, len(lacking)),
            )
        else:
            checkpoint = dataset.store.checkpoint(loaded.digest)
            logger.warning(
                "no cosines of %s with classes that are new: %s",
                *(features.name, without_tokens(features, checkpoint)),
            )
