"""The demo's checkpoints: a tiny CLIP from captioned stills, and what clips make of it."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch.nn.functional import one_hot

from vifi.command_line.console import say
from vifi.demo.clips import class_names, write_clips
from vifi.demo.demo_settings import DemoScale
from vifi.demo.stills import make_stills
from vifistore.frames.preprocess import preprocess, preprocessing_of
from vifistore.models.checkpoint_files import CheckpointHeader
from vifistore.models.openclip_model import OpenClipModel, describe
from vifistore.models.registry import model_config
from vifistore.models.skeletons import new_model
from vifistore.models.towers import load_model
from vifistore.store.identity import TunedOn
from vifistore.store.recipe import Preprocessing
from vifistore.training.averages import blend_kind
from vifistore.training.options import RunOptions
from vifistore.training.order import Order
from vifistore.training.run import Run, train
from vifistore.training.training_data import FrameData, TrainingSet
from vifistore.training.videos import VideoSource, in_memory
from vifistore.videos.listing import read_source

VANILLA = "vanilla-clip"
# Name of a checkpoint -> what is trained, and where its loss merges frames. The names are those
# by which reports finds the paper's rows.
VARIANTS = {
    "image-ft": {"trains": "image", "fusion": "embedding"},
    # Frames of a frozen image tower are encoded once, and so not mirrored.
    "text-ft": {"trains": "text", "fusion": "embedding", "flip": 0.0},
    "vifi-clip": {"trains": "full", "fusion": "embedding"},
    "vifi-clip-decision": {"trains": "full", "fusion": "decision"},
    "vifi-clip-image": {"trains": "full", "fusion": "image"},
}
# The one whose checkpoints are extracted while it trains, and the number of them.
TUNED, NUM_FOLLOWED = "vifi-clip", 3
# With --full: prompts in front of the tuned model, and that model blended with its start.
PROMPTED, BLENDED = "vl-prompting", "vifi-clip-blend"
_PROMPTS = {
    "trains": "prompts",
    "template": "{}.",
    "learning_rate": 1e-2,
    "image_prompts": 4,
    "image_depth": 4,
    "text_prompts": 2,
    "text_depth": 2,
}
# As flags of `vifi train`.
PROMPT_FLAGS = tuple(
    word for name, value in _PROMPTS.items() for word in (f"--{name.replace('_', '-')}", value)
)
_BLEND = 0.5


def make_videos(scale: DemoScale, folder: Path) -> Path:
    """Write the clips as `folder/<train|test>/<class name>/<number>.mp4`; return the folder."""
    counts = {"train": scale.train_clips, "test": scale.test_clips}
    write_clips(folder, class_names()[: scale.classes], counts, scale.seed)
    return folder


def pretrain(scale: DemoScale, folder: Path) -> Path:
    """Train the tiny model on captioned stills; return its checkpoint."""
    start = _random_model(scale)
    side_pixels = start.preprocess_config["size"][0]
    stills = make_stills(scale.num_stills, side_pixels=side_pixels, seed=scale.seed)
    pixels = preprocess(torch.from_numpy(stills.images), _preprocessing(start), 1)[0]
    truth = torch.from_numpy(stills.truth).float()
    # A still is a video of one frame. Several captions are true of it: each gets an equal share.
    data = FrameData(frames=pixels[:, None], targets=truth / truth.sum(1, keepdim=True))
    return _train(
        Run(
            start=start,
            videos=TrainingSet(source=data, class_names=stills.captions),
            settings=scale.pretraining,
            out=folder / VANILLA,
        ),
        num_checkpoints=1,
    )


def read_training_clips(scale: DemoScale, videos: Path, dataset: str) -> TrainingSet:
    """Decode the training clips of `make_videos`, twice as many frames as a step draws.

    `dataset` is what they are called with the test clips together.
    """
    listing = read_source(videos / "train")
    names = listing.class_names
    labels = torch.tensor([names.index(label) for label in listing.labels])
    clips = VideoSource(
        files=listing.files(range(len(listing.paths))),
        targets=one_hot(labels, len(names)).float(),
        preprocessing=_preprocessing(_random_model(scale)),
        options=RunOptions(decoder="pyav"),
    )
    settings = replace(scale.tuning, candidate_frames=2 * scale.tuning.num_frames)
    return TrainingSet(
        source=in_memory(clips, settings),
        class_names=names,
        tuned_on=TunedOn(dataset=dataset, split="train", class_names=tuple(names)),
    )


def tune(
    scale: DemoScale, name: str, paths: dict[str, Path], clips: TrainingSet, folder: Path
) -> dict[str, Path]:
    """Fine-tune as VARIANTS or _PROMPTS say of `name`, in `folder/name`; return its checkpoints.

    `paths` are those of the checkpoints so far.
    """
    settings = replace(scale.tuning, **VARIANTS.get(name, _PROMPTS))
    if name == TUNED and scale.extras:
        settings = replace(settings, blend=(_BLEND,))
    start = paths[TUNED if name == PROMPTED else VANILLA]
    path = _train(
        Run(
            start=load_model(scale.model, str(start)),
            videos=clips,
            settings=settings,
            out=folder / name,
        ),
        num_checkpoints=NUM_FOLLOWED if name == TUNED else 1,
    )
    blend = {BLENDED: path.with_name(f"{blend_kind(_BLEND)}-{path.name}")} if settings.blend else {}
    return {name: path, **blend}


def _train(run: Run, *, num_checkpoints: int) -> Path:
    """Train and return the last checkpoint."""
    num_steps = Order(num_videos=len(run.videos.source.targets), settings=run.settings).num_steps
    run.options = RunOptions(device="cpu", checkpoint_every=-(-num_steps // num_checkpoints))
    with _one_thread():
        report = train(run)
    say(
        f"   {report.step} steps, loss {report.metrics['loss']:.2f}, accuracy "
        f"{report.metrics['accuracy']:.1%} among {len(run.videos.class_names)} classes, "
        f"{report.data_share:.0%} of the time waiting for data"
    )
    return report.path


def _random_model(scale: DemoScale) -> OpenClipModel:
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


def _preprocessing(model: OpenClipModel) -> Preprocessing:
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
