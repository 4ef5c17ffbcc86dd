"""Which frames a run and its follower keep in the frame cache that they share."""

from dataclasses import asdict, replace

from vifistore.extract.extract_settings import EncodeSettings
from vifistore.extract.recipes import preprocessing_for, settled
from vifistore.extract.trainer_frames import read_stretches
from vifistore.frames.readers import Reader
from vifistore.models.encoders import LoadedModel
from vifistore.store.dataset import Dataset
from vifistore.store.recipe import Preprocessing
from vifistore.training.frame_reading import kept_by_steps
from vifistore.training.options import RunOptions
from vifistore.training.run_identity import trained_with
from vifistore.training.training_settings import TrainSettings


def kept_by_follower(encode: EncodeSettings, start: LoadedModel, settings: TrainSettings) -> Reader:
    """What extractions of the checkpoints of a run keep of every video."""
    checkpoint = replace(start, identity=trained_with(start, settings))
    encoding = settled(encode, checkpoint)
    return Reader(
        frames=encoding.num_frames,
        clips=encoding.clips,
        stride=encoding.stride,
        preprocessing=preprocessing_for(encoding, checkpoint, encoding.crops),
        crops=encoding.crops,
    )


def shares(dataset: Dataset, options: RunOptions, followed: str, encode: EncodeSettings) -> bool:
    """Whether an extraction of a dataset reads videos of another one, or the same, from the frame
    cache of a run on that."""
    if not options.frame_cache or not encode.frame_cache or encode.decoder != options.decoder:
        return False
    if options.frame_cache.absolute() != encode.frame_cache.absolute():
        return False
    read = (read_stretches(dataset.store.dataset(name)) for name in {dataset.name, followed})
    return followed == dataset.name or not set(next(read)).isdisjoint(next(read))


def what_is_read(
    dataset: str,
    split: str,
    pixels: Preprocessing,
    settings: TrainSettings,
    options: RunOptions,
) -> dict:
    """What the run tells its follower of its own frames; empty if it keeps none."""
    if not options.frame_cache or not settings.candidate_frames or options.in_memory:
        return {}
    kept = asdict(kept_by_steps(pixels, settings))
    return {"dataset": dataset, "split": split, "decoder": options.decoder, "kept": kept}
