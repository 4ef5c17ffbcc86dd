"""`vifi name S D ID NAME`: give a feature set a name."""

from dataclasses import dataclass

import tyro

from vifi.command_line.command_log import remember_command
from vifi.command_line.console import parse, say
from vifi.command_line.shared_arguments import StoreArguments
from vifistore.store import open_store
from vifistore.store.names import set_name


@dataclass(frozen=True, kw_only=True)
class NameArguments(StoreArguments):
    """Give a feature set a name."""

    dataset: tyro.conf.Positional[str]
    """Dataset of the feature set."""
    id: tyro.conf.Positional[str]
    """Id, or another name, of the feature set."""
    name: tyro.conf.Positional[str]
    """The new name."""
    force: bool = False
    """Move the name if it stands for another feature set."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("name", NameArguments, arguments)
    store = open_store(wanted.store, mode="a")
    dataset = store.dataset(wanted.dataset)
    features = dataset.features(wanted.id)
    set_name(
        dataset,
        wanted.name,
        features.id,
        features.checkpoint,
        force=wanted.force,
    )
    remember_command(store)
    say(f"{wanted.name} stands for feature set {features.id} of {wanted.dataset}")
    return 0
