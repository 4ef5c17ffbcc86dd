"""The demo's checkpoints: a tiny CLIP from captioned stills, and what clips make of it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from vifi.console import say
from vifi.demo.clips import class_names, write_clips
from vifi.demo.settings import DemoScale
from vifi.demo.stills import make_stills
from vifistore.frames.preprocess import preprocess, preprocessing_of
from vifistore.models.checkpoints import CheckpointHeader
from vifistore.models.towers import LoadedModel, describe, load_model, model_config, new_model
from vifistore.store.recipe import Preprocessing
from vifistore.training.data import FrameData, read_videos
from vifistore.training.engine import Progress
from vifistore.training.run import train_checkpoint
from vifistore.videos.listing import read_source

VANILLA = "vanilla-clip"
# Name of a checkpoint -> what is trained, and where its loss merges frames. The names are those
# by which reports finds the paper's rows.
VARIANTS = {
    "image-ft": {"trains": "image", "fusion": "embedding"},
    "text-ft": {"trains": "text", "fusion": "embedding"},
    "vifi-clip": {"trains": "full", "fusion": "embedding"},
    "vifi-clip-decision": {"trains": "full", "fusion": "decision"},
    "vifi-clip-image": {"trains": "full", "fusion": "image"},
}


@dataclass(frozen=True, kw_only=True)
class TrainingClips:
    """The training clips in memory, on which every variant is tuned."""

    data: FrameData
    class_names: list[str]
    """In the order of the targets."""


def make_videos(scale: DemoScale, folder: Path) -> Path:
    """Write the clips as `folder/<train|test>/<class name>/<number>.mp4`; return the folder."""
    counts = {"train": scale.train_clips, "test": scale.test_clips}
    write_clips(folder, class_names()[: scale.classes], counts, scale.seed)
    return folder


def pretrain(scale: DemoScale, path: Path) -> None:
    """Train the tiny model on captioned stills and save it at `path`."""
    start = _random_model(scale)
    side_pixels = start.preprocess_config["size"][0]
    stills = make_stills(scale.num_stills, side_pixels=side_pixels, seed=scale.seed)
    pixels = preprocess(torch.from_numpy(stills.images), _preprocessing(start), 1)[0]
    truth = torch.from_numpy(stills.truth).float()
    # A still is a video of one frame. Several captions are true of it: each gets an equal share.
    data = FrameData(frames=pixels[:, None], targets=truth / truth.sum(1, keepdim=True))
    with _one_thread():
        train_checkpoint(
            start,
            data,
            stills.captions,
            scale.pretraining,
            name=VANILLA,
            parent="",
            path=path,
            after_epoch=_say,
        )


def read_training_clips(scale: DemoScale, videos: Path) -> TrainingClips:
    """Decode the training clips of `make_videos`, twice as many frames as a step draws."""
    listing = read_source(videos / "train")
    names = listing.class_names
    data = read_videos(
        [listing.root / path for path in listing.paths],
        [names.index(label) for label in listing.labels],
        num_classes=len(names),
        num_frames=2 * scale.tuning.num_frames,
        preprocessing=_preprocessing(_random_model(scale)),
    )
    return TrainingClips(data=data, class_names=names)


def tune(scale: DemoScale, name: str, start: Path, clips: TrainingClips, path: Path) -> None:
    """Fine-tune the model at `start` as VARIANTS says of `name`, and save it at `path`."""
    loaded = load_model(scale.model, str(start))
    with _one_thread():
        train_checkpoint(
            loaded,
            clips.data,
            clips.class_names,
            replace(scale.tuning, **VARIANTS[name]),
            name=name,
            parent=loaded.digest,
            path=path,
            after_epoch=_say,
        )


def _random_model(scale: DemoScale) -> LoadedModel:
    header = CheckpointHeader(
        model=scale.model,
        config=model_config(scale.model),
        name="random",
        step=0,
        parent="",
        settings={},
    )
    clip = new_model(scale.model, scale.seed)
    # OpenCLIP starts both small beside the position embeddings, and the token embedding stays as
    # it starts. Larger, shapes are learnt in half the steps.
    clip.visual.conv1.weight.detach().mul_(4)
    clip.token_embedding.weight.detach().mul_(10)
    return describe(clip, header)


def _preprocessing(model: LoadedModel) -> Preprocessing:
    return preprocessing_of("openclip", model.preprocess_config, 1)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread, so that weights do not depend on how many cores there are.

    It costs little: layers are so small that two threads spent 1.8 times the processor time.
    """
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)


def _say(progress: Progress) -> None:
    if progress.step == progress.num_steps:
        say(f"   {progress.step} steps, loss {progress.loss:.2f}")
