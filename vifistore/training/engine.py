"""One optimiser step after another: forward passes, gradients of the whole batch, AdamW."""

import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vifistore.errors import ModelError, UsageError
from vifistore.training.distributed import Processes
from vifistore.training.log import StepRecord
from vifistore.training.order import Order
from vifistore.training.pass_size import pieces
from vifistore.training.schedule import rate_of_step
from vifistore.training.systems.system import BatchObjective, Objective, ParameterGroup
from vifistore.training.training_data import Views
from vifistore.training.training_settings import TrainSettings
from vifistore.training.whole_batch import accumulate_together


@dataclass(kw_only=True)
class Metrics:
    """Sums over the steps since the last checkpoint."""

    loss: float = 0.0
    correct: float = 0.0
    num_views: int = 0

    def add(self, result: StepRecord) -> None:
        """Take the views of a step."""
        if result.num_views:
            self.loss += result.loss * result.num_views
            self.correct += result.accuracy * result.num_views
            self.num_views += result.num_views

    def means(self) -> dict:
        """Loss and accuracy, 0 where no view was read."""
        count = max(self.num_views, 1)
        return {"loss": self.loss / count, "accuracy": self.correct / count}


class Engine:
    """Trains the parameters of a model; every process of a run has one, and all stay equal."""

    def __init__(
        self,
        objective: Objective,
        groups: Sequence[ParameterGroup],
        settings: TrainSettings,
        order: Order,
        processes: Processes,
        most_views: int = 0,
    ) -> None:
        """`most_views` are what a forward pass takes at once; 0 for those of a micro-batch."""
        # As in extraction: float32 is no TF32, which convolutions and LSTMs of a GPU would take.
        torch.backends.cudnn.allow_tf32 = False
        self.parameters = {name: p for group in groups for name, p in group.parameters.items()}
        self._objective, self._order = objective, order
        self._processes = processes
        self._most_views = most_views or order.micro_batch
        self._rates = [group.rate for group in groups]
        self.optimiser = torch.optim.AdamW(
            [_options(group, settings) for group in groups], betas=settings.betas, fused=True
        )

    def step(self, number: int, passes: Iterator[Views | None], num_passes: int) -> StepRecord:
        """Make a step of so many forward passes in this process.

        Raises ModelError, and leaves the weights as they are, if the loss or its gradient is not
        finite, or the memory of the GPU is too small; UsageError if nothing can be compiled here.
        """
        try:
            return self._step(number, passes, num_passes)
        except torch.OutOfMemoryError as error:
            raise ModelError(
                "the memory of the GPU is too small for forward passes of this size; give a "
                f"--micro-batch below {self._most_views}, or --gradient-checkpointing"
            ) from error
        except RuntimeError as error:
            if not _is_of_compiling(error):
                raise
            reason = " ".join(str(error).partition("\n\n")[0].split())
            raise UsageError(
                f"the image tower cannot be compiled ({reason[:200]}); install what is missing, or "
                "give --no-compile"
            ) from error

    def _step(self, number: int, passes: Iterator[Views | None], num_passes: int) -> StepRecord:
        start = time.perf_counter()
        totals, data_seconds = self._accumulate(passes, num_passes)
        gradients = self._gradients()
        self._processes.add_up([totals])
        self._processes.add_up(gradients)
        loss, correct, num_views = totals.tolist()
        rate, norm = rate_of_step(number, self._order), 0.0
        # Where no video could be read, nothing changes.
        if num_views:
            # Sums over views were added up, so that every pass counts by what it could read.
            # torch's stubs leave these functions out.
            torch._foreach_div_(gradients, num_views)  # pyright: ignore[reportPrivateImportUsage]
            norms = torch._foreach_norm(gradients)  # pyright: ignore[reportPrivateImportUsage]
            norm = float(torch.linalg.vector_norm(torch.stack(norms)))
            self._require_finite(number, loss / num_views, norm)
            self._update(rate)
        return StepRecord(
            step=number + 1,
            epoch=(number + 1) / self._order.steps_per_epoch,
            loss=loss / num_views if num_views else math.nan,
            accuracy=correct / num_views if num_views else math.nan,
            learning_rate=rate,
            gradient_norm=norm,
            num_views=int(num_views),
            seconds=time.perf_counter() - start,
            data_seconds=data_seconds,
        )

    def _accumulate(self, passes: Iterator[Views | None], num_passes: int) -> tuple[Tensor, float]:
        """Sums of loss, correct views and views of this process, and seconds of waiting."""
        self.optimiser.zero_grad(set_to_none=True)
        objective = self._objective
        is_apart = num_passes > 1 or self._processes.world > 1
        is_apart |= self._most_views < self._order.micro_batch
        if is_apart and isinstance(objective, BatchObjective):
            return self._accumulate_together(objective, passes, num_passes)
        texts = self._objective.texts()
        leaf = texts.detach().requires_grad_(texts.requires_grad)
        totals = torch.zeros(3, dtype=torch.float64, device=texts.device)
        data_seconds = 0.0
        for _ in range(num_passes):
            start = time.perf_counter()
            views = next(passes)
            data_seconds += time.perf_counter() - start
            for part in pieces(views, self._most_views) if views else ():
                sums = self._objective.sums(part, leaf)
                sums.loss.backward()
                totals[0] += sums.loss.detach()
                totals[1] += sums.correct
                totals[2] += sums.num_views
        if leaf.grad is not None:
            texts.backward(leaf.grad)
        return totals, data_seconds

    def _accumulate_together(
        self, objective: BatchObjective, passes: Iterator[Views | None], num_passes: int
    ) -> tuple[Tensor, float]:
        """As `_accumulate`, for a loss of all views of the step; sums are of the first process."""
        start = time.perf_counter()
        views = [one for _ in range(num_passes) if (one := next(passes)) is not None]
        data_seconds = time.perf_counter() - start
        parts = [part for one in views for part in pieces(one, self._most_views)]
        sums = accumulate_together(objective, parts, self._processes)
        totals = torch.zeros(3, dtype=torch.float64, device=objective.texts().device)
        if sums is not None:
            totals[0] += sums.loss.detach()
            totals[1] += sums.correct
            totals[2] += sums.num_views
        return totals, data_seconds

    def _gradients(self) -> list[Tensor]:
        """The gradient of every parameter; zeros where no view reached it."""
        gradients = []
        for parameter in self.parameters.values():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        return gradients

    def _require_finite(self, step: int, loss: float, norm: float) -> None:
        for what, value in (("loss", loss), ("gradient", norm)):
            if not math.isfinite(value):
                raise ModelError(f"the {what} is {value} at step {step}; use a lower learning rate")

    def _update(self, learning_rate: float) -> None:
        for group, factor in zip(self.optimiser.param_groups, self._rates, strict=True):
            group["lr"] = learning_rate * factor
        self.optimiser.step()


def _options(group: ParameterGroup, settings: TrainSettings) -> dict:
    """A group as AdamW takes it."""
    decay = settings.weight_decay if group.weight_decay is None else group.weight_decay
    return {"params": list(group.parameters.values()), "weight_decay": decay}


def _is_of_compiling(error: RuntimeError) -> bool:
    # Loaded where something is compiled, and takes a second elsewhere.
    known = sys.modules.get("torch._dynamo.exc")
    return known is not None and isinstance(error, known.TorchDynamoException)
