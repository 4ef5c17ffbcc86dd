"""What a follower remembers of a checkpoint file: the feature set that it became.

One small file each in the store's cache folder, so that a follower that is started again need not
load every checkpoint of its folder. They are hints and no more: each is held against the store
before it is believed, and deleting them costs loading the checkpoints once.
"""

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from vifistore.cleaning import cleaning_field
from vifistore.errors import DamagedError, UsageError
from vifistore.extract.class_texts import dataset_class_lists
from vifistore.extract.extract_settings import EncodeSettings
from vifistore.extract.job import JobReport
from vifistore.extract.recipes import settled
from vifistore.files import read_json_object
from vifistore.following.follow_folder import Signature
from vifistore.following.follow_settings import FollowSettings
from vifistore.frames.decoders.decoding import decoder_version
from vifistore.frames.preprocess import BACKENDS
from vifistore.frames.sampling import SAMPLING_RULE, WINDOW_RULE
from vifistore.models.encoders import LoadedModel
from vifistore.models.plugins.plugin_names import find_entry
from vifistore.models.text_embedding import text_fields
from vifistore.store.dataset import Dataset
from vifistore.store.key_value.durable import put_stages
from vifistore.store.names import check_set_name, resolve
from vifistore.store.recipe import NUMERICS, digest_of
from vifistore.store.texts import texts_id

logger = logging.getLogger("vifi")

_FOLDER = "followed"

# Of the settings, those that decide which feature set and which texts a checkpoint becomes.
_DECISIVE = (
    *(
        "frames",
        "fps",
        "every",
        "clips",
        "crops",
        "stride",
        "precision",
        "decoder",
        "template",
        "class_names",
    ),
    *("preprocess", "mean", "std", "interpolation", "resize_mode"),
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a checkpoint file became."""

    digest: str
    """Of the checkpoint."""
    features: str
    """Id of its feature set."""
    name: str
    """Name of that, which stands for the checkpoint, too."""
    texts: dict
    """All that decides its text embeddings but for the class names."""
    cleaning: str
    """Of the names in its prompts."""


class FollowRecord:
    """Outcomes by file, for one dataset and one way to encode it."""

    def __init__(self, dataset: Dataset, encode: EncodeSettings, settings: FollowSettings) -> None:
        """`settings` say what files are which do not say it, and what is taken from them."""
        self._dataset = dataset
        self._folder = dataset.store.cache_folder / _FOLDER
        self._way = {
            "dataset": dataset.name,
            "model": settings.model,
            "weights": asdict(settings.weights),
            **{name: getattr(encode, name) for name in _DECISIVE},
            # As they are recorded since before none was told from zero.
            **{"fps": encode.fps or 0.0, "every": encode.every or 0},
            # What a newer version of this program, or of a decoder, would do otherwise.
            "decoder_version": decoder_version(encode.decoder),
            "rules": [NUMERICS, SAMPLING_RULE, WINDOW_RULE, BACKENDS],
        }

    def find(self, path: Path, signature: Signature) -> tuple[Outcome, JobReport] | None:
        """What a file became, where all of it is in the store still; else None."""
        # Encoders of other packages may have other code under the same name.
        of_others = find_entry(self._way["model"]) is not None
        outcome = None if of_others else self._read(path, signature)
        if outcome is None:
            return None
        try:
            report = self._report(outcome)
        except (DamagedError, UsageError, LookupError):
            return None
        return (outcome, report) if report else None

    def keep(self, path: Path, signature: Signature, outcome: Outcome) -> None:
        """Remember a file; where that cannot be written it is loaded again next time."""
        text = json.dumps({"file": str(path), **asdict(outcome)}, indent=1)
        try:
            put_stages([{self._place(path, signature): [text.encode("utf-8")]}])
        except OSError as error:
            logger.info("%s is loaded again next time: %s", path.name, error)

    def _place(self, path: Path, signature: Signature) -> Path:
        # Not where a link leads: a file of others is called by its own name.
        key = {"path": str(path.absolute()), "signature": signature, **self._way}
        return self._folder / f"{digest_of(key)[:32]}.json"

    def _read(self, path: Path, signature: Signature) -> Outcome | None:
        try:
            fields = read_json_object(self._place(path, signature))
            return Outcome(
                digest=str(fields["digest"]),
                features=str(fields["features"]),
                name=str(fields["name"]),
                texts=dict(fields["texts"]),
                cleaning=str(fields["cleaning"]),
            )
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def _report(self, outcome: Outcome) -> JobReport | None:
        """What extracting it again would report; None where there would be something to do."""
        store = self._dataset.store
        named = resolve(self._dataset, check_set_name(outcome.name))
        if (named.id, named.checkpoint) != (outcome.features, outcome.digest):
            return None
        features = self._dataset.features(outcome.name)
        if not features.sealed or features.sealed["rows"] != self._dataset.num_videos:
            return None
        store.checkpoint(outcome.digest)
        if not self._has_texts(outcome):
            return None
        return JobReport(
            id=outcome.features,
            encoded=0,
            reused=0,
            quarantined=0,
            sealed=True,
            name=outcome.name,
            num_quarantined=features.counts()["quarantined"],
        )

    def _has_texts(self, outcome: Outcome) -> bool:
        """Whether the classes of the dataset are encoded, those of new splits, too."""
        text_sets = [
            {**outcome.texts, "class_names": names, **cleaning_field(names, outcome.cleaning)}
            for names in dataset_class_lists(self._dataset)
        ]
        return all(self._dataset.store.has_texts(texts_id(fields)) for fields in text_sets)


def outcome_of(loaded: LoadedModel, encode: EncodeSettings, report: JobReport) -> Outcome:
    """What a checkpoint became when it was extracted."""
    used = settled(encode, loaded)
    return Outcome(
        digest=loaded.digest,
        features=report.id,
        name=report.name,
        texts=text_fields(loaded, (), used.template),
        cleaning=used.class_names,
    )
