"""The folder of a run: its checkpoints, the optimiser's state, and what the run is.

    run.json                      what the run is, and the name of its device; a rerun goes on only
                                  with the same, on a device of the same type
    step-00000200.safetensors     weights and header, as any checkpoint of ours
    step-00000200.json            all that is known of it; written after the weights
    ema-step-00000200.safetensors, blend-0.5-step-00000200.safetensors     checkpoints of their own
    optimiser/step-00000200.safetensors     what going on from there needs beside the weights
    log.csv                       a row per step
    finished.json                 the run is done; written last
    reads.json                    which frames it keeps in the frame cache, for its follower
    .lock                         held by the process that trains here, and says which it is

Every file is written under a temporary name, forced to the disk and renamed. The optimiser's state
comes first and the JSON last, so a step with a JSON file has all that resuming needs.
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from vifistore.errors import ModelError, UsageError, shell
from vifistore.extract.trainer_frames import READS
from vifistore.files import read_json, require_regular
from vifistore.models.checkpoint_files import CheckpointHeader, read_header, save_checkpoint
from vifistore.models.weights import read_weights
from vifistore.store.identity import Identity
from vifistore.store.key_value.durable import put_stages
from vifistore.training.training_settings import TrainSettings

# A run that is killed while it writes the newest goes on from the one before.
_OPTIMISER_STATES_KEPT = 2

# Another GPU changes the last bits alone, so that it is told and not refused.
_DEVICE_NAME = "device_name"

logger = logging.getLogger("vifi")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint to write."""

    kind: str
    """trained, ema, or blend-0.5 and the like."""
    state: dict[str, Tensor]
    """State dict of the whole model."""
    header: CheckpointHeader
    about: dict
    """What its JSON says beside the header."""


class RunFolder:
    """The files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log_path = path / "log.csv"

    def check(self, identity: dict) -> None:
        """See that the folder's run, if it holds one, is the same.

        A run that has saved nothing is none yet. Raises UsageError naming the first difference.
        """
        identity = json.loads(json.dumps(identity))
        if not self._has_saved():
            return
        recorded = self._read("run.json")
        if recorded is None:
            raise UsageError(f"{self.path} holds checkpoints of no known run; give another one")
        if isinstance(settings := recorded.get("settings"), dict):
            # Those that are newer than the run were at their defaults.
            recorded["settings"] = json.loads(json.dumps(asdict(TrainSettings()))) | settings
        for key in dict.fromkeys([*identity, *recorded]):
            if key == _DEVICE_NAME:
                continue
            if recorded.get(key) != identity.get(key):
                raise UsageError(
                    f"{self.path} holds another run, whose {key} is "
                    f"{_differing(recorded.get(key), identity.get(key))}; "
                    f"{self._remedy(key, recorded.get(key), identity.get(key))}"
                )

    def _remedy(self, key: str, recorded: object, requested: object) -> str:
        """What to do about a part of the identity that differs."""
        if key == "compile" and requested:
            return "give --no-compile to go on with it, or another --out"
        if isinstance(recorded, dict) and isinstance(requested, dict) and "epochs" in recorded:
            changed = {key for key in recorded if recorded[key] != requested.get(key)}
            if "epochs" in changed and changed <= {"epochs", "warmup_epochs"}:
                weights = self.weights_path(self.last_step())
                return (
                    "learning rates depend on the number of epochs from the first step on, so it "
                    "cannot be made longer or shorter; give another --out, and to go on from these "
                    f"weights: {shell('--pretrained', weights)}"
                )
        return "give another --out"

    def begin(self, identity: dict, device_name: str, reads: dict) -> None:
        """Say what the run is and reads; the folder holds no other, as `check` has seen."""
        # What a process that was killed had half-written.
        for partial in [*self.path.glob("*.partial"), *self.path.glob("optimiser/*.partial")]:
            partial.unlink(missing_ok=True)
        (self.path / READS).unlink(missing_ok=True)
        if reads:
            self._write(READS, reads)
        if not self._has_saved():
            self._write("run.json", {**identity, _DEVICE_NAME: device_name})
            return
        recorded = self._read("run.json")
        assert recorded is not None, "a folder with checkpoints says what the run is"
        began_on = recorded.get(_DEVICE_NAME)
        if began_on != device_name:
            logger.warning(
                "this run began on %s and goes on on %s: the last bits of its numbers change",
                *(began_on, device_name),
            )

    def _has_saved(self) -> bool:
        return self.is_finished() or any(self.path.glob("*.safetensors"))

    def is_finished(self) -> bool:
        """Whether the run is done."""
        return (self.path / "finished.json").exists()

    def skipped(self) -> list[str]:
        """Why videos of a run that is done could not be read."""
        return list((self._read("finished.json") or {}).get("skipped", []))

    def finish(self, step: int, skipped: list[str]) -> None:
        """Mark the run as done; `skipped` says why videos could not be read."""
        names = sorted(path.name for path in self.path.glob("*.safetensors"))
        self._write("finished.json", {"step": step, "checkpoints": names, "skipped": skipped})

    def weights_path(self, step: int, kind: str = "trained") -> Path:
        """Where the checkpoint of a step is."""
        prefix = "" if kind == "trained" else f"{kind}-"
        return self.path / f"{prefix}step-{step:08d}.safetensors"

    def last_step(self) -> int:
        """The last step that can be gone on from; 0 if there is none."""
        numbers = [path.stem.removeprefix("step-") for path in self.path.glob("step-*.json")]
        steps = [int(number) for number in numbers if number.isdecimal()]
        return max((step for step in steps if self._optimiser_path(step).exists()), default=0)

    def save(
        self, step: int, checkpoints: Iterable[Checkpoint], optimiser: dict[str, Tensor]
    ) -> None:
        """Write all checkpoints of a step in their order, the trained one last: once its JSON is
        there, the step is. `optimiser` holds the tensors `[...]` of `optimiser_tensors`."""
        path = self._optimiser_path(step)
        put_stages([{path: [save({key: t.cpu().contiguous() for key, t in optimiser.items()})]}])
        for checkpoint in checkpoints:
            weights = self.weights_path(step, checkpoint.kind)
            save_checkpoint(weights, checkpoint.state, checkpoint.header)
            self._write(f"{weights.stem}.json", _description(checkpoint))
        states = sorted(path.parent.glob("step-*.safetensors"))
        for old in states[:-_OPTIMISER_STATES_KEPT]:
            old.unlink()

    def load(self, step: int, kind: str = "trained") -> dict[str, Tensor]:
        """The weights of a step, tensors `[...]` by name.

        Raises ModelError if they cannot be read.
        """
        return read_weights(self.weights_path(step, kind))

    def load_identity(self, step: int) -> Identity:
        """What the checkpoint of a step says it was trained with and on."""
        header = read_header(self.weights_path(step))
        return header.identity if header else Identity()

    def load_optimiser(self, step: int) -> dict[str, Tensor]:
        """The optimiser's state at a step, tensors `[...]` as `optimiser_tensors` gave them.

        Raises ModelError if it cannot be read.
        """
        path = self._optimiser_path(step)
        try:
            require_regular(path)
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise ModelError(
                f"{path} cannot be read ({error}); remove step {step}'s JSON file to go on from "
                "the step before"
            ) from error

    def _optimiser_path(self, step: int) -> Path:
        return self.path / "optimiser" / f"step-{step:08d}.safetensors"

    def _read(self, name: str) -> dict | None:
        path = self.path / name
        try:
            document = read_json(path)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise UsageError(f"{path} is not readable JSON; give another --out") from error
        if not isinstance(document, dict):
            raise UsageError(f"{path} describes no run; give another --out")
        return document

    def _write(self, name: str, document: dict) -> None:
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
        put_stages([{self.path / name: [text.encode("utf-8")]}])


def _description(checkpoint: Checkpoint) -> dict:
    header = checkpoint.header
    # Not the digests of all its videos: the JSON is for readers.
    tuned_on = [entry.summary for entry in header.identity.tuned_on]
    return {
        **header.as_json(),
        **({"tuned_on": tuned_on} if tuned_on else {}),
        "kind": checkpoint.kind,
        "seed": header.settings.get("seed"),
        **checkpoint.about,
    }


def _differing(recorded: object, requested: object) -> str:
    """The part of two values that differs, as words."""
    if isinstance(recorded, dict) and isinstance(requested, dict):
        for key in [*recorded, *requested]:
            if recorded.get(key) != requested.get(key):
                return f"{key}={recorded.get(key)!r} and not {requested.get(key)!r}"
    return f"{recorded!r} and not {requested!r}"


def optimiser_tensors(
    optimiser: torch.optim.Optimizer, names: dict[str, torch.nn.Parameter]
) -> dict[str, Tensor]:
    """AdamW's state by name, `<parameter>/<exp_avg, exp_avg_sq or step>`: tensors `[...]` as their
    parameter, steps `[]`."""
    return {
        f"{name}/{key}": value.detach()
        for name, parameter in names.items()
        for key, value in optimiser.state[parameter].items()
    }


def restore_optimiser(
    optimiser: torch.optim.Optimizer,
    names: dict[str, torch.nn.Parameter],
    tensors: dict[str, Tensor],
) -> None:
    """Put back what `optimiser_tensors` gave, tensors `[...]` by name."""
    for key, value in tensors.items():
        name, _, field = key.rpartition("/")
        parameter = names[name]
        optimiser.state[parameter][field] = value.to(parameter.device)
