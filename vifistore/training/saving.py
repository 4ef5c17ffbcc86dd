"""What a run writes at a checkpoint, and how it goes on from one."""

from collections.abc import Mapping
from dataclasses import asdict

from torch import Tensor

from vifistore.models.checkpoint_files import CheckpointHeader
from vifistore.models.openclip_model import require_tunable
from vifistore.models.openclip_parts import Clip
from vifistore.models.system_modules import is_added, scale_of, system_of
from vifistore.models.tower_digests import tower_digests
from vifistore.store.checkpoints import checkpoint_digest
from vifistore.store.identity import Identity
from vifistore.training.averages import RunningAverage, blend_kind, blended
from vifistore.training.engine import Engine
from vifistore.training.run_folder import (
    Checkpoint,
    RunFolder,
    optimiser_tensors,
    restore_optimiser,
)
from vifistore.training.run_identity import RunIdentity


class Saver:
    """Writes the checkpoints of a run, and reads the last one."""

    def __init__(
        self,
        folder: RunFolder,
        engine: Engine,
        name: str,
        identity: RunIdentity,
        start_system: Mapping | None = None,
    ) -> None:
        """The model still has the weights that the run starts from; `name` is that of the run.

        `start_system` is whose added modules the start had before the run gave it any.
        """
        self._folder, self._engine = folder, engine
        self._start_system = start_system
        self._name, self._identity = name, identity
        self._start, self._order = identity.start, identity.order
        self._settings = settings = identity.settings
        self._clip: Clip = require_tunable(self._start, "training tunes").clip
        self._start_state = self._to_blend_with() if settings.blend else {}
        self._average = None
        if settings.ema:
            self._average = RunningAverage(engine.parameters, settings.ema)

    def _to_blend_with(self) -> dict[str, Tensor]:
        """The weights of the start, without those of modules that it was given for this run."""
        state, is_new = self._clip.state_dict(), not self._start_system
        return _copied({key: t for key, t in state.items() if not (is_new and is_added(key))})

    def after_step(self) -> None:
        """Take the weights of a step into the average."""
        if self._average:
            self._average.update(self._engine.parameters)

    def save(self, step: int, metrics: dict, digests: Mapping[int, str]) -> None:
        """Write the checkpoints of a step; `digests` are those of `RunIdentity.at`."""
        identity = self._identity.at(step, digests)
        state = self._clip.state_dict()
        states = {}
        if self._average:
            states["ema"] = {**state, **self._average.tensors}
        if step == self._order.num_steps:
            end = _copied(state) if self._settings.blend else {}
            for share in self._settings.blend:
                states[blend_kind(share)] = blended(self._start_state, end, share)
        states["trained"] = state
        self._folder.save(
            step,
            (self._checkpoint(kind, step, states[kind], metrics, identity) for kind in states),
            optimiser_tensors(self._engine.optimiser, self._engine.parameters),
        )

    def resume(self) -> int:
        """Load the last step that was saved, and return it; 0 if there is none."""
        step = self._folder.last_step()
        if step:
            self._clip.load_state_dict(self._folder.load(step))
            restore_optimiser(
                self._engine.optimiser, self._engine.parameters, self._folder.load_optimiser(step)
            )
            if self._average:
                self._average.load(self._folder.load(step, "ema"))
            self._identity.go_on(step, self._folder.load_identity(step))
        return step

    def _checkpoint(
        self, kind: str, step: int, state: dict[str, Tensor], metrics: dict, identity: Identity
    ) -> Checkpoint:
        start, prefix = self._start, "" if kind == "trained" else f"{kind}-"
        system = system_of(self._clip)
        towers = _digests(start.config, state, system)
        # Warm-up begins at a rate of 0: nothing was learned from what was seen by then.
        is_parent = towers["digest"] == start.softmax_digest
        header = CheckpointHeader(
            model=start.model,
            config=start.config,
            name=f"{self._name}@{prefix}step-{step}",
            step=start.step + step,
            parent=start.digest,
            settings={**asdict(self._settings), "kind": kind},
            system=system,
            digest=towers["digest"],
            identity=start.identity if is_parent else identity,
        )
        about = {"epoch": step / self._order.steps_per_epoch, "metrics": metrics, **towers}
        return Checkpoint(kind=kind, state=state, header=header, about=about)


def _digests(config: dict, state: dict[str, Tensor], system: dict) -> dict:
    image_digest, text_digest = tower_digests(config, state, system)
    # On the CPU, as it is digested when the file is loaded: a GPU may differ in the last bit.
    logit_scale = scale_of(system, float(state["logit_scale"].cpu().double().exp()))
    return {
        "digest": checkpoint_digest(image_digest, text_digest, logit_scale),
        "image_digest": image_digest,
        "text_digest": text_digest,
        "logit_scale": logit_scale,
    }


def _copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().cpu().clone() for key, value in state.items()}
