"""Systems by name: their published settings, and where they are. Imports no torch."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING

from vifistore.errors import Faults, UnknownNameError
from vifistore.training.presets import PRESETS, WITH_SHOTS
from vifistore.training.systems.actionclip_settings import actionclip_published, note_actionclip
from vifistore.training.systems.x_clip_settings import note_x_clip, x_clip_published
from vifistore.training.training_settings import SystemName, TrainSettings

if TYPE_CHECKING:
    from vifistore.training.systems.system import System


@dataclass(frozen=True, kw_only=True)
class SystemEntry:
    """What is known of a system before torch is loaded."""

    module: str
    """Where it is, below `vifistore.training.systems`."""
    class_name: str
    """Its class there, which is made without arguments."""
    published: Callable[[str, TrainSettings, str], TrainSettings]
    """Preset, its settings for ViFi-CLIP and the dataset's name -> those published for the system;
    UsageError for a preset that means nothing to it."""
    note: Callable[[Faults, TrainSettings], None] = lambda faults, settings: None
    """Note the settings that the system cannot take."""


def as_in_the_presets(preset: str, settings: TrainSettings, dataset: str) -> TrainSettings:
    """ViFi-CLIP's settings are those of the presets."""
    return settings


def note_one_text(faults: Faults, settings: TrainSettings) -> None:
    """Texts beyond the one that a system of one text reads."""
    faults.check(
        not settings.further_templates,
        f"{settings.system} has one text of a class; leave out --further-templates",
    )


SYSTEMS: dict[str, SystemEntry] = {
    "vifi-clip": SystemEntry(
        module="vifi_clip",
        class_name="VifiClip",
        published=as_in_the_presets,
        note=note_one_text,
    ),
    "x-clip": SystemEntry(
        module="x_clip",
        class_name="XClipSystem",
        published=x_clip_published,
        note=note_x_clip,
    ),
    "actionclip": SystemEntry(
        module="actionclip",
        class_name="ActionClipSystem",
        published=actionclip_published,
        note=note_actionclip,
    ),
}


def published_settings(
    preset: str,
    system: SystemName = "vifi-clip",
    *,
    paper_exact: bool = False,
    dataset: str = "",
    shots: int | None = None,
) -> TrainSettings:
    """The settings of a preset for a system.

    Raises UnknownNameError for an unknown system, UsageError for a preset that means nothing to it.
    """
    choice = {"shots": shots} if shots is not None and preset in WITH_SHOTS else {}
    settings = PRESETS[preset](paper_exact=paper_exact, dataset=dataset, **choice)
    settings = replace(settings, system=system)
    return system_entry(system).published(preset, settings, dataset)


def system_entry(name: str) -> SystemEntry:
    """Raise UnknownNameError naming those there are."""
    if name not in SYSTEMS:
        raise UnknownNameError("system", name, SYSTEMS)
    return SYSTEMS[name]


def load_system(name: str) -> "System":
    """The system itself, with torch."""
    entry = system_entry(name)
    return getattr(import_module(f"vifistore.training.systems.{entry.module}"), entry.class_name)()
