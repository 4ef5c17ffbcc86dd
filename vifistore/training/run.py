"""A whole run: from a loaded model and videos to a folder of checkpoints, stopped and gone on."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from vifistore.cleaning import cleaned
from vifistore.errors import Faults, ModelError, UsageError
from vifistore.extract.recipes import choose_device
from vifistore.extract.run_figures import device_name
from vifistore.models.encoders import LoadedModel
from vifistore.models.openclip_model import require_tunable
from vifistore.models.system_modules import system_of
from vifistore.models.text_embedding import check_distinct
from vifistore.models.wording import fill
from vifistore.training.compiled_tower import compiles_on
from vifistore.training.distributed import Processes, joined, precision_of
from vifistore.training.engine import Engine, Metrics
from vifistore.training.faults import checkpoint_name, note_frozen, note_system
from vifistore.training.folder_lock import only_trainer
from vifistore.training.log import Log, StepRecord
from vifistore.training.options import RunOptions
from vifistore.training.order import Order
from vifistore.training.pass_size import measured_views
from vifistore.training.prefetch import ahead, beside
from vifistore.training.run_folder import RunFolder
from vifistore.training.run_identity import RunIdentity, run_terms
from vifistore.training.saving import Saver
from vifistore.training.systems.known_systems import load_system
from vifistore.training.systems.system import ObjectiveInputs, ParameterGroup, System
from vifistore.training.thread_count import computing_on
from vifistore.training.training_data import (
    FrameData,
    TrainingSet,
    TrainingSource,
    Views,
    embedded,
)
from vifistore.training.training_settings import TrainSettings
from vifistore.training.videos import VideoSource, in_memory

logger = logging.getLogger("vifi")

# Micro-batches that are ready before the model wants them.
_PREFETCHED = 2


@dataclass(frozen=True, kw_only=True)
class TrainReport:
    """What a run left."""

    path: Path
    """The last checkpoint of the trained weights."""
    step: int
    """Steps done in all."""
    metrics: dict
    """Loss and accuracy since the checkpoint before; empty if this call had nothing to do."""
    data_share: float
    """Share of the time in which the model waited for videos, in this call."""
    skipped: list[str]
    """Why videos could not be read."""


@dataclass(kw_only=True)
class Run:
    """One fine-tuning run."""

    start: LoadedModel
    """The model; its weights change."""
    videos: TrainingSet
    """What it trains on."""
    settings: TrainSettings
    """What decides the numbers."""
    out: Path
    """Folder of the run."""
    name: str = ""
    """Name of its checkpoints, before @step-N; empty takes that of the folder."""
    options: RunOptions = field(default_factory=RunOptions)
    """How and where it computes."""
    after_step: Callable[[int], None] = lambda step: None
    """Called with the number of steps done, after their checkpoint."""


def train(run: Run) -> TrainReport:
    """Train, or go on where the same run was stopped, and leave the folder finished.

    Raises
    ------
    UsageError
        If the folder holds another run, or the settings do not fit the data.
    LockedError
        If another process trains in the folder.
    ModelError
        If the loss stops being a finite number, where the last good checkpoint is kept; and if the
        model is none of OpenCLIP's.
    """
    wanted = choose_device(run.options.device)
    with computing_on(run.options.threads), joined(wanted) as (processes, device):
        return _Training(run, processes, device).finish()


class _Training:
    """The state of a run in one process."""

    def __init__(self, run: Run, processes: Processes, device: torch.device) -> None:
        self._run, self._processes, self._device = run, processes, device
        self._start = require_tunable(run.start, "training tunes")
        self._settings, self._folder = run.settings, RunFolder(run.out)
        self._name = checkpoint_name(run.name, run.out)
        precision = precision_of(run.options.precision, device)
        self._bf16 = precision == "bf16"
        self._compiled = run.options.compile and compiles_on(device)
        self._identity = {
            **run_terms(run.start, run.settings, run.videos),
            "compile": self._compiled,
            "gradient_checkpointing": run.options.gradient_checkpointing,
            **{"device": device.type, "precision": precision, "processes": processes.world},
        }
        if processes.is_first:
            self._folder.check(self._identity)
        processes.wait()
        self._order = Order(
            num_videos=len(run.videos.source.targets), settings=run.settings, world=processes.world
        )

    def finish(self) -> TrainReport:
        if self._folder.is_finished():
            logger.info("%s is finished; nothing to do", self._run.out)
            return self._report({}, 0.0, self._folder.skipped())
        self._prepare()
        # Only now: what cannot begin leaves no folder that a corrected run would be refused for.
        is_first = self._processes.is_first
        with only_trainer(self._run.out) if is_first else contextlib.nullcontext():
            return self._train()

    def _train(self) -> TrainReport:
        """Go from where the run is to its end; no other trainer writes in its folder."""
        if self._processes.is_first:
            # Once more: another trainer may have written here before it was locked.
            self._folder.check(self._identity)
            self._folder.begin(self._identity, device_name(self._device), self._run.videos.reads)
        self._processes.wait()
        first = self._saver.resume()
        if first:
            logger.info("going on from step %d of %d", first, self._order.num_steps)
        metrics, data_share = self._steps(first)
        skipped = self._processes.merged(self._source.skipped)
        self._require_some(len(skipped))
        if self._processes.is_first:
            self._folder.finish(self._order.num_steps, list(skipped.values()))
        self._processes.wait()
        return self._report(metrics, data_share, list(skipped.values()))

    def _prepare(self) -> None:
        """Model, objective, engine and averages, as they are before the first step."""
        run, settings = self._run, self._settings
        faults = Faults()
        note_system(faults, settings)
        if settings.freezes_images and self._keeps_frames():
            note_frozen(faults, settings)
        faults.refuse()
        self._clip = clip = self._start.clip.to(self._device)
        system, start_system = load_system(settings.system), system_of(clip)
        system.add_modules(clip, settings)
        clip.to(self._device)
        groups = system.groups(clip, settings)
        clip.set_grad_checkpointing(run.options.gradient_checkpointing)
        how = {"settings": settings, "bf16": self._bf16}
        plain = ObjectiveInputs(clip=clip, tokens=self._class_tokens(), **how)
        most = self._most_views(system, plain, groups)
        inputs = replace(plain, compiled=self._compiled, pass_views=most)
        of_run = (groups, settings, self._order, self._processes)
        self._engine = Engine(system.objective(inputs), *of_run, most)
        identity = RunIdentity(run.start, settings, self._order, run.videos)
        self._saver = Saver(self._folder, self._engine, self._name, identity, start_system)
        self._source = self._kept(run.videos.source)

    def _most_views(
        self, system: System, inputs: ObjectiveInputs, groups: Sequence[ParameterGroup]
    ) -> int:
        """Views of a pass: a micro-batch, or as many of a whole batch as a GPU has memory for."""
        wanted, source = self._order.micro_batch, self._run.videos.source
        if self._device.type != "cuda" or self._settings.micro_batch or not source.has_pixels:
            return wanted
        view = (self._settings.num_frames, 3, *self._start.image_size)
        parameters = [p for group in groups for p in group.parameters.values()]
        of_view = (view, source.targets.shape[1], parameters)
        return measured_views(system.objective(inputs), *of_view, wanted)

    def _kept(self, source: TrainingSource) -> TrainingSource:
        """What is read, in memory where it is to be kept there: only once nothing can be refused
        any more, as it takes the longest."""
        settings = self._settings
        if isinstance(source, VideoSource) and self._run.options.in_memory:
            source = in_memory(source, settings)
        if settings.freezes_images and isinstance(source, FrameData) and source.has_pixels:
            source = embedded(source, self._clip)
        return source

    def _keeps_frames(self) -> bool:
        """Whether frames are in memory, or will be."""
        source = self._run.videos.source
        is_there = isinstance(source, FrameData) and source.has_pixels
        return is_there or (isinstance(source, VideoSource) and self._run.options.in_memory)

    def _class_tokens(self) -> torch.Tensor:
        """int64 [template class token]."""
        classes = self._run.videos.class_names
        names = cleaned(classes, self._settings.class_names)
        text_side, found = self._start.text_side, []
        for template in self._settings.templates:
            texts = [fill(template, names[name]) for name in classes]
            found.append(text_side.tokens(texts))
            text_side.check_lengths(texts, found[-1])
            check_distinct(classes, found[-1])
        return torch.stack(found).to(self._device)

    def _steps(self, first: int) -> tuple[dict, float]:
        """Make all steps from `first` on; return the last metrics and the share of waiting."""
        batches = self._order.from_step(first, self._processes.rank)
        views = self._source.views(batches, self._settings, self._device)
        passes = ahead(beside(views, self._device), _PREFETCHED)
        log = self._log(first)
        try:
            return self._loop(first, passes, log)
        finally:
            passes.close()
            if log:
                log.close()
            self._clip.requires_grad_(False)

    def _log(self, first: int) -> Log | None:
        if not self._processes.is_first:
            return None
        return Log(
            self._folder.log_path,
            num_steps=self._order.num_steps,
            first_step=first,
            tensorboard=self._run.options.tensorboard,
        )

    def _loop(
        self, first: int, passes: Iterator[Views | None], log: Log | None
    ) -> tuple[dict, float]:
        metrics, means = Metrics(), {}
        every = self._run.options.checkpoint_every or self._order.steps_per_epoch
        logged: set[int] = set()
        for step in range(first, self._order.num_steps):
            record = self._step(step, passes)
            self._saver.after_step()
            metrics.add(record)
            self._log_skipped(logged)
            if log:
                log.write(record, num_skipped=len(logged))
            if (step + 1) % every == 0 or step + 1 == self._order.num_steps:
                means, metrics = metrics.means(), Metrics()
                digests = self._processes.merged(self._source.digests)
                if self._processes.is_first:
                    self._saver.save(step + 1, means, digests)
                if log:
                    log.at_checkpoint(step + 1, means)
            self._run.after_step(step + 1)
        return means, log.data_share if log else 0.0

    def _step(self, step: int, passes: Iterator[Views | None]) -> StepRecord:
        num_passes = len(self._order.step(step)[self._processes.rank :: self._processes.world])
        try:
            return self._engine.step(step, passes, num_passes)
        except ModelError as error:
            last = self._folder.last_step()
            kept = f"the last good checkpoint is {self._folder.weights_path(last)}" if last else ""
            what, _, remedy = str(error).partition("; ")
            raise ModelError("; ".join(filter(None, (what, kept, remedy)))) from error

    def _log_skipped(self, logged: set[int]) -> None:
        """Name the videos that could not be read since the last step."""
        skipped = self._source.skipped
        for row in [row for row in list(skipped) if row not in logged]:
            logged.add(row)
            logger.warning("skipped: %s", skipped[row])
        self._require_some(len(logged))

    def _require_some(self, num_skipped: int) -> None:
        """Raise UsageError if no video can be read."""
        if num_skipped == len(self._source.targets):
            raise UsageError(
                f"none of the {num_skipped} videos can be read; see the reasons above, and where "
                "vifi info says that the dataset lies"
            )

    def _report(self, metrics: dict, data_share: float, skipped: list[str]) -> TrainReport:
        step = self._order.num_steps
        path = self._folder.weights_path(step)
        done = {"path": path, "step": step, "metrics": metrics, "data_share": data_share}
        return TrainReport(**done, skipped=skipped)
