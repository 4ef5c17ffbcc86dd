"""What can be known to be wrong with a run before a video is read or weights are loaded.

Each function notes one kind of fault; `vifi train` asks all of them at once, and the code that the
fault would break asks its own. No torch.
"""

from collections.abc import Mapping
from pathlib import Path

from vifistore.errors import Faults, UsageError
from vifistore.extract.ranks import current_launcher, current_rank
from vifistore.store.dataset import Dataset
from vifistore.store.features import Features
from vifistore.store.schema import check_name
from vifistore.store.splits import Split, count_videos
from vifistore.training.options import RunOptions
from vifistore.training.order import Order
from vifistore.training.systems.known_systems import system_entry
from vifistore.training.training_settings import TrainSettings

# Start, at least one word, end.
FEWEST_WORDS = 3
_BLOCKS, _CONTEXT = 12, 77
# The longest that is put behind the name of a run.
_LONGEST_ENDING = "@blend-0.00001-step-00000000"


def run_faults(
    settings: TrainSettings,
    options: RunOptions,
    dataset: Dataset,
    split: Split,
    *,
    config: Mapping | None = None,
    features: Features | None = None,
    world: int = 1,
    is_followed: bool = False,
) -> Faults:
    """All faults of a run on a split of a dataset: `config` is that of its model, if it is known,
    `features` are the cached embeddings that it trains on, `world` is the number of processes, and
    a follower may keep frames of its own in the cache of frames."""
    faults = Faults()
    faults.attempt(note_system, faults, settings)
    note_split(faults, dataset, split, settings)
    if features is None:
        note_pixels(faults, settings, options, is_followed=is_followed)
    else:
        note_features(faults, features, settings)
    if config is not None and settings.trains == "prompts":
        note_prompts(faults, settings, config)
    if settings.batch_size > 0:
        faults.attempt(Order, num_videos=len(split.rows), settings=settings, world=world)
    return faults


def note_system(faults: Faults, settings: TrainSettings) -> None:
    """Settings that the system cannot take. Raises UnknownNameError for an unknown one."""
    system_entry(settings.system).note(faults, settings)


def note_split(faults: Faults, dataset: Dataset, split: Split, settings: TrainSettings) -> None:
    """A split that has more videos of a class than the run takes."""
    if not settings.shots:
        return
    counts = count_videos(dataset, split)
    if counts.max() > settings.shots:
        faults.add(
            UsageError(
                f"split {split.name} has {counts.max()} videos of "
                f"{split.class_names[counts.argmax()]} where this run takes {settings.shots} per "
                "class; give --split one with that many (vifi scan --few-shot draws it), or "
                "--shots 0"
            )
        )


def note_pixels(
    faults: Faults, settings: TrainSettings, options: RunOptions, *, is_followed: bool = False
) -> None:
    """What frames that are kept cannot be used for."""
    cache = options.frame_cache and not is_followed
    keeps = {"--frame-cache": cache, "--in-memory": options.in_memory}
    for flag in (flag for flag, given in keeps.items() if given):
        faults.check(
            bool(settings.candidate_frames),
            f"{flag} keeps the frames that steps draw from; say how many per video with "
            f"--candidate-frames {2 * settings.num_frames}, or leave out {flag}",
        )
    if not options.in_memory:
        return
    note_plain(faults, settings)
    if settings.freezes_images:
        note_frozen(faults, settings)


def note_plain(faults: Faults, settings: TrainSettings) -> None:
    """Changes of decoded frames, which are not what is kept in memory."""
    faults.check(
        not (settings.crop_scales or settings.jitter or settings.grayscale),
        "crops and colours are changed on decoded frames, not on what is kept in memory; leave out "
        "--in-memory, or give --crop-scales --jitter 0 --grayscale 0",
    )


def note_frozen(faults: Faults, settings: TrainSettings) -> None:
    """Changes of frames that a frozen image tower encodes once."""
    faults.check(
        not (settings.flip or settings.mixing),
        "the image tower is frozen, so frames in memory are encoded once and cannot change; give "
        "--flip 0 and --no-mixing",
    )


def note_features(faults: Faults, features: Features, settings: TrainSettings) -> None:
    """Cached embeddings that are not those which training would compute, as far as is known
    without the weights."""
    name, recipe = features.name, features.recipe
    faults.check(
        settings.freezes_images,
        f"--from-store needs a frozen image tower, and --trains {settings.trains} changes it; give "
        "--trains text, or prompts with --image-prompts 0",
    )
    faults.attempt(features.require_array, "frames")
    faults.check(
        bool(features.sealed),
        f"feature set {name} is not complete; run vifi extract again first",
    )
    clips, crops, frames = (recipe.get(key, 1) for key in ("clips", "crops", "frames"))
    faults.check(
        clips * crops == 1,
        f"feature set {name} has {clips} clips and {crops} crops per video; extract one with "
        "--clips 1 --crops 1",
    )
    faults.check(
        frames >= settings.num_frames,
        f"feature set {name} has {frames} frames per video; give --frames {frames} or fewer",
    )


def note_prompts(faults: Faults, settings: TrainSettings, config: Mapping) -> None:
    """Prompts that a model's towers cannot take, by its config."""
    image, text = config.get("vision_cfg", {}), config.get("text_cfg", {})
    if settings.image_prompts and settings.image_depth:
        faults.check(
            _is_own_image_tower(image),
            "prompts are learned in OpenCLIP's own image transformers with a class token, which "
            "this model has not; use a ViT such as ViT-B-16-quickgelu, or --image-prompts 0",
        )
        _note_depth(faults, "image", settings.image_depth, image)
    if settings.text_prompts and settings.text_depth:
        faults.check(
            not (text.get("hf_model_name") or text.get("embed_cls")),
            "prompts are learned in OpenCLIP's own text transformers, which this model has not; "
            "use one such as ViT-B-16-quickgelu, or --text-prompts 0",
        )
        _note_depth(faults, "text", settings.text_depth, text)
        context = text.get("context_length", _CONTEXT)
        most = context - FEWEST_WORDS
        faults.check(
            settings.text_prompts <= most,
            f"--text-prompts {settings.text_prompts} leaves no room for a name in {context} "
            f"tokens; give at most {most}",
        )


def _note_depth(faults: Faults, tower: str, depth: int, config: Mapping) -> None:
    blocks = config.get("layers", _BLOCKS)
    faults.check(
        not isinstance(blocks, int) or depth <= blocks,
        f"--{tower}-depth is {depth} and the {tower} tower has {blocks} blocks; give {blocks} or "
        "less",
    )


def _is_own_image_tower(config: Mapping) -> bool:
    is_transformer = not config.get("timm_model_name") and isinstance(
        config.get("layers", _BLOCKS), int
    )
    pools = config.get("pool_type", "tok") == "tok" and not config.get("attentional_pool")
    return is_transformer and pools


def checkpoint_name(name: str, out: Path) -> str:
    """Return the name of a run, else that of its folder: checkpoints are `<name>@step-<step>`.

    Raises UsageError for one that no store could take, before anything is trained under it.
    """
    chosen = name or out.resolve().name
    try:
        check_name("checkpoint", f"{chosen}{_LONGEST_ENDING}")
    except UsageError as error:
        raise UsageError(
            f"{chosen!r} cannot name the checkpoints of a run; give a --name of letters, digits "
            "and _ . @ + = -, up to 170 of them"
        ) from error
    return chosen


def require_torchrun() -> None:
    """Raise UsageError if srun or mpirun started this process beside others like it.

    They do not say where the processes meet, and each would train the whole run by itself.
    """
    rank = current_rank()
    launcher = current_launcher()
    if rank is None or rank.count == 1 or launcher == "torchrun":
        return
    raise UsageError(
        f"{launcher} started {rank.count} processes, and each would train the whole run; start one "
        "(srun --ntasks=1 vifi train ...), or let torchrun start several: srun --ntasks=1 torchrun "
        "--nproc-per-node=GPUS -m vifi train ..."
    )


def require_alone() -> None:
    """Raise UsageError if any launcher started this process beside others: each would train the
    same head, which takes one process seconds."""
    rank = current_rank()
    if rank is not None and rank.count > 1:
        raise UsageError(
            f"{current_launcher()} started {rank.count} processes, and a head is trained by one; "
            "start vifi train-head by itself, under srun with --ntasks=1"
        )
