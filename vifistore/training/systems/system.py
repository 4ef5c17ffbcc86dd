"""What a system of training is: the modules it adds, the parameters it trains, and its loss."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from vifistore.errors import UsageError
from vifistore.models.openclip_parts import Clip
from vifistore.training.compiled_tower import CompiledTower
from vifistore.training.training_data import Views
from vifistore.training.training_settings import TrainSettings


@dataclass(frozen=True, kw_only=True)
class ParameterGroup:
    """Parameters that are trained at one rate."""

    parameters: dict[str, nn.Parameter]
    """By their names in the model's state dict."""
    rate: float = 1.0
    """Their learning rate, in multiples of the run's."""
    weight_decay: float | None = None
    """Their weight decay; None takes that of the settings."""


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Sums over views, on the device."""

    loss: Tensor
    """Loss."""
    correct: Tensor
    """Views whose first class is that of the highest target."""
    num_views: int


class Objective(Protocol):
    """The loss of a system."""

    def texts(self) -> Tensor:
        """What all forward passes of a step share, in one tensor `[...]`: the text embeddings, or
        nothing. Where it has a graph, their gradients add up at it, and go through it once."""
        ...

    def sums(self, views: Views, texts: Tensor) -> Sums:
        """Loss and accuracy of one forward pass, summed over its views; `texts` is what `texts`
        gave, `[...]`."""
        ...


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """Videos beside one text each, as a loss of a whole batch compares them."""

    views: Tensor
    """float32 `[view dim]`."""
    texts: Tensor
    """float32 `[view dim]`."""
    labels: Tensor
    """int64 `[view]`: the class of both."""


@runtime_checkable
class BatchObjective(Objective, Protocol):
    """A loss that compares the videos of a step with each other: see `whole_batch.py`."""

    def embed(self, views: Views) -> Embedded:
        """The embeddings of one forward pass, which depend on its videos alone."""
        ...

    def compare(self, embedded: Embedded) -> Sums:
        """The loss of these videos."""
        ...


@dataclass(frozen=True, kw_only=True)
class ObjectiveInputs:
    """What an objective is made of."""

    clip: Clip
    """The model, with what the system added, on its device."""
    tokens: Tensor
    """int64 `[template class token]`: the templates of the settings, classes in the order of the
    targets, on the same device."""
    settings: TrainSettings
    bf16: bool = False
    """Whether the towers compute in bfloat16."""
    compiled: bool = False
    """Whether the image tower is compiled."""
    pass_views: int = 0
    """Views of a whole forward pass, up to which a compiled tower is filled; 0 fills up nothing."""

    def image_tower(self, tower: nn.Module, rows_per_view: int) -> Callable[[Tensor], Any]:
        """A tower as it runs: compiled, if that is wanted, for the rows of whole passes."""
        if not self.compiled:
            return tower
        return CompiledTower(tower, self.pass_views * rows_per_view)


class System(Protocol):
    """A way to train a CLIP on videos."""

    def add_modules(self, clip: Clip, settings: TrainSettings) -> None:
        """Give the model what the system adds to it, with first weights that depend on the seed
        alone; keep its own where they are such, and refuse others (UsageError or ModelError)."""
        ...

    def groups(self, clip: Clip, settings: TrainSettings) -> Sequence[ParameterGroup]:
        """Let exactly what the system trains take gradients, and return it; each parameter is in
        one group."""
        ...

    def objective(self, inputs: ObjectiveInputs) -> Objective:
        """The loss."""
        ...


def trained_by_name(clip: Clip) -> dict[str, nn.Parameter]:
    """The parameters of a model that take gradients, by their names in its state dict."""
    return {name: p for name, p in clip.named_parameters() if p.requires_grad}


def require_system(known: Mapping, name: str) -> None:
    """Raise UsageError for a start whose added modules are those of another system; `known` is its
    `system_of`."""
    if known["name"] != name:
        raise UsageError(
            f"the model to start from has modules of {known['name']}; give --system "
            f"{known['name']} to train on, or a --pretrained without them"
        )
