"""The demo's world: folders of clips, and a tiny CLIP that knows captioned stills.

<dataset>/<split>/<class name>/<number>.mp4
descriptions.json     sentences on each class
vanilla-clip/         a run of training, as `vifi train` leaves it
queries.txt           class names to search for
"""

from pathlib import Path

import torch

from vifi.command_line.console import say
from vifi.demo.clips import write_clips
from vifi.demo.descriptions import write_descriptions
from vifi.demo.mini_datasets import MINI_DATASETS
from vifi.demo.stills import make_stills
from vifi.demo.world_size import WorldSize
from vifistore.errors import UnknownNameError
from vifistore.frames.preprocess import preprocess, preprocessing_of
from vifistore.models.checkpoint_files import CheckpointHeader
from vifistore.models.openclip_model import OpenClipModel, describe
from vifistore.models.registry import model_config
from vifistore.models.skeletons import new_model
from vifistore.training.options import RunOptions
from vifistore.training.run import Run, train
from vifistore.training.training_data import FrameData, TrainingSet
from vifistore.training.training_settings import TrainSettings

MODEL = "vifi-tiny"
VANILLA = "vanilla-clip"
_FIRST = "mini-k400"
_SEED = 0
_NUM_QUERIES = 3


def make_world(size: WorldSize, out: Path) -> None:
    """Make all of it in a folder; clips that are there are written again, the same.

    Raises UnknownNameError for a dataset that there is none of.
    """
    for name in size.datasets:
        if name not in MINI_DATASETS:
            raise UnknownNameError("dataset", name, list(MINI_DATASETS))
    for name in size.datasets:
        dataset, is_first = MINI_DATASETS[name], name == _FIRST
        num_train = size.train_clips if is_first else size.other_train_clips
        num_test = size.test_clips if is_first else size.other_test_clips
        counts = {"train": num_train, **dict.fromkeys(dataset.tests, num_test)}
        write_clips(out / name, dataset.class_names[: size.classes], counts, _SEED, dataset)
    write_descriptions([MINI_DATASETS[name] for name in size.datasets], out)
    names = MINI_DATASETS[_FIRST].class_names[: size.classes]
    asked = names[:: max(1, len(names) // _NUM_QUERIES)][:_NUM_QUERIES]
    (out / "queries.txt").write_text("\n".join(asked), encoding="utf-8")
    pretrain(size, out / VANILLA)


def pretrain(size: WorldSize, folder: Path) -> None:
    """Train the tiny model on captioned stills, as a run in a folder."""
    start = random_model()
    side_pixels = start.preprocess_config["size"][0]
    stills = make_stills(size.stills, side_pixels=side_pixels, seed=_SEED)
    how = preprocessing_of("openclip", start.preprocess_config, 1)
    pixels = preprocess(torch.from_numpy(stills.images), how, 1)[0]
    truth = torch.from_numpy(stills.truth).float()
    # A still is a video of one frame. Several captions are true of it: each gets an equal share.
    data = FrameData(frames=pixels[:, None], targets=truth / truth.sum(1, keepdim=True))
    run = Run(
        start=start,
        videos=TrainingSet(source=data, class_names=stills.captions),
        settings=pretraining(size),
        out=folder,
        # On one thread weights do not depend on how many cores there are.
        options=RunOptions(precision="fp32", compile=False, threads=1, checkpoint_every=10**6),
    )
    report = train(run)
    said = f"{report.step} steps over {len(stills.captions)} captions"
    say(said + (f", loss {report.metrics['loss']:.2f}" if report.metrics else ""))


def pretraining(size: WorldSize) -> TrainSettings:
    """How it is trained on them."""
    return TrainSettings(
        template="{}",
        num_frames=1,
        learning_rate=1.5e-3,
        batch_size=size.still_batch,
        epochs=size.epochs,
        warmup_epochs=0.5,
        # Captions speak of left and right.
        flip=0.0,
        label_smoothing=0.0,
        seed=_SEED,
    )


def random_model() -> OpenClipModel:
    """The model that nothing has been told."""
    config = model_config(MODEL)
    header = CheckpointHeader(
        model=MODEL, config=config, name="random", step=0, parent="", settings={}
    )
    clip = new_model(MODEL, _SEED)
    # OpenCLIP starts both small beside the position embeddings, and the token embedding stays as
    # it starts. Larger, shapes are learnt in half the steps.
    clip.visual.conv1.weight.detach().mul_(4)
    clip.token_embedding.weight.detach().mul_(10)
    return describe(clip, header)
