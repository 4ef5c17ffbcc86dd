"""Verify what a derived feature set says of its parent and of its head."""

import shlex
from collections.abc import Iterator, Mapping

from vifistore.errors import DamagedError, shell
from vifistore.store.dataset import Dataset
from vifistore.store.problems import extract_command, is_extracted, removal
from vifistore.store.recipe import recipe_id
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.chunks import checksums, manifest_digest


def derived_problems(dataset: Dataset, attributes: Mapping) -> Iterator[str]:
    """Yield what is wrong; `attributes` are those of the derived set's group."""
    recipe = attributes["recipe"]
    parent_recipe, head = attributes.get("parent_recipe"), attributes.get("head")
    if not isinstance(parent_recipe, dict) or recipe_id(parent_recipe) != recipe["parent"]:
        yield "the recipe it gives for its parent is another's"
    if not isinstance(head, dict) or head.get("digest") != recipe.get("head"):
        yield "the head it names is not that of its recipe"
    if _has_changed(dataset.backend, dataset.feature_path(recipe["parent"]), attributes):
        yield f"its parent {recipe['parent']} has changed since it was made"


def remake_command(backend: Backend, path: str, attributes: Mapping) -> str:
    """How to make a derived set at `path` again."""
    runs = attributes.get("provenance") or [{}]
    command = runs[-1].get("command") or shell("vifi", "train-head", backend.folder, "...")
    # What a store of others calls its command is not to be pasted unquoted either.
    return f"{removal(backend, path)}, then: {shell(*shlex.split(command))}"


def _has_changed(backend: Backend, parent: str, attributes: Mapping) -> bool:
    """Whether rows of the parent that the set was made from are others now.

    A parent that is not here, or is being written or damaged itself, tells nothing.
    """
    made_from = attributes.get("parent_sealed")
    if not made_from or not attributes.get("sealed") or not backend.exists(parent):
        return False
    try:
        if not backend.attributes(parent).get("sealed"):
            return False
        stored = checksums(backend, parent, made_from["rows"])
    except DamagedError:
        return False
    return manifest_digest(stored) != made_from["manifest"]


def remake_commands(dataset: Dataset, path: str, attributes: Mapping) -> tuple[str, str]:
    """What makes a feature set, and what makes its damaged blocks."""
    backend, recipe = dataset.backend, attributes["recipe"]
    if "parent" in recipe:
        again = remake_command(backend, path, attributes)
        return again, again
    if imported := recipe.get("imported"):
        words = ("vifi", "import", backend.folder, imported["source"])
        again = f"{removal(backend, path)}, then: {shell(*words)}"
        return again, again
    if not is_extracted(attributes):
        first = removal(backend, path)
        again = f"{first}, then: write it again with the program that made it"
        return again, f"restore it from a copy, or {again}"
    again = extract_command(dataset, recipe)
    return again, extract_command(dataset, recipe, "--repair")
