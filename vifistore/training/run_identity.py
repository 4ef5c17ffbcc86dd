"""What the checkpoints of a run say that they were trained with, and on which videos."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from vifistore.frames.preprocess import preprocessing_of
from vifistore.frames.sampling import SAMPLING_RULE
from vifistore.models.encoders import LoadedModel
from vifistore.models.preprocessing import plain_config
from vifistore.store.identity import Identity, TunedOn, joined, packed
from vifistore.store.recipe import Preprocessing
from vifistore.training.order import Order
from vifistore.training.training_data import TrainingSet
from vifistore.training.training_settings import TrainSettings


@dataclass
class RunIdentity:
    """Follows a run, since a checkpoint was trained on what had been read when it was written."""

    start: LoadedModel
    settings: TrainSettings
    order: Order
    videos: TrainingSet
    _earlier: tuple[TunedOn, ...] = ()
    """Of the checkpoint that the run goes on from."""
    _rows: set[int] = field(default_factory=set)
    """Videos of the steps done by this process."""
    _step: int = 0

    def go_on(self, step: int, known: Identity) -> None:
        """Begin at a step whose checkpoint says `known`."""
        self._earlier = known.tuned_on
        # One that had learned nothing yet says nothing of what was seen by then.
        self._step = 0 if known.tuned_on == self.start.identity.tuned_on else step

    def at(self, step: int, digests: Mapping[int, str]) -> Identity:
        """What the checkpoint of a step says; `digests` are content digests by the number of the
        video, of all that were read by then."""
        known = trained_with(self.start, self.settings, self.videos.preprocessing)
        if self.videos.tuned_on is None:
            pixels = known.preprocessing
            return Identity(preprocessing=pixels, tuned_on=self.start.identity.tuned_on)
        for done in range(self._step, step):
            for batch in self.order.step(done):
                self._rows.update(batch.rows)
        self._step = max(self._step, step)
        videos = packed(digests.get(row, "") for row in self._rows)
        own = replace(self.videos.tuned_on, videos=videos)
        tuned_on = joined([*self.start.identity.tuned_on, *self._earlier, own])
        return replace(known, tuned_on=tuned_on)


def trained_with(
    start: LoadedModel, settings: TrainSettings, pixels: Preprocessing | None = None
) -> Identity:
    """What the checkpoints of a run on a dataset say that they were trained with; `pixels` is how
    its frames were made, that of the settings if None."""
    used = pixels or preprocessing_of(settings.preprocess, start.preprocess_config, 1)
    return Identity(
        preprocessing=used.for_identity(plain_config(start.preprocess_config)),
        templates=settings.templates,
        cleaning=settings.class_names,
        sampling={"rule": SAMPLING_RULE, "frames": settings.num_frames},
    )


def run_terms(start: LoadedModel, settings: TrainSettings, videos: TrainingSet) -> dict:
    """What a run trains on what, which must be the same for a stopped one to go on, as plain JSON
    values."""
    return {
        "settings": asdict(settings),
        # A bias takes no part in the training, and runs of before do not name it.
        "start": start.softmax_digest,
        "model": start.model,
        "data": videos.data,
        "num_videos": len(videos.source.targets),
        "class_names": list(videos.class_names),
    }
