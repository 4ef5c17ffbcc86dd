"""`vifi demo`: the studies beside this file, in a small world that is made for them."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from vifi.command_line.console import parse, say
from vifi.demo.world_size import WorldSize
from vifistore.errors import UsageError
from vifistore.files import read_regular
from vifistore.training.folder_lock import require_folder

_STUDIES = Path(__file__).parent
# Marks a folder as ours and says of which size, so that another one may clear it and a wrong --out
# is left alone.
_MARK = ".vifi-demo"
_TOLD = ("zero-shot.md", "fusion.md")


@dataclass(frozen=True, kw_only=True)
class DemoArguments:
    """Generate clips, train, fine-tune, encode, score and draw; no network, no GPU needed."""

    quick: bool = False
    """Fewer clips and epochs: under 80 seconds on two cores."""
    full: bool = False
    """More clips and epochs; also the paper's other systems, prompts and blended weights."""
    out: Path = Path("reports/out/demo")
    """Folder for the store, the checkpoints, the tables and the page; one that was stopped goes
    on."""
    world: bool = False
    """Only make the clips and the tiny CLIP that the study begins with, in --out."""
    size: WorldSize = field(default_factory=WorldSize)


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code.

    Raises UsageError for two sizes at once, and as `run_demo`.
    """
    wanted = parse("demo", DemoArguments, arguments)
    if wanted.quick + wanted.full + wanted.world > 1:
        raise UsageError("--quick, --full and --world exclude each other; give one of them")
    if wanted.world:
        from vifi.demo.made_world import make_world

        make_world(wanted.size, wanted.out)
        return 0
    if wanted.size != WorldSize():
        raise UsageError("sizes are those of --world; give --quick, --full, or --world")
    name = "demo-quick" if wanted.quick else "demo-full" if wanted.full else "demo"
    return run_demo(_STUDIES / f"{name}.toml", wanted.out)


def run_demo(path: Path, out: Path) -> int:
    """Run a study in a folder of its own; returns the exit code.

    Raises UsageError if something else is there, and for a study that cannot be done, before what
    another one left is touched.
    """
    from vifi.study.step_words import refuse_wrong_words
    from vifi.study.steps import plan_steps
    from vifi.study.study_file import read_study
    from vifi.study.verb import run_study
    from vifi.study.words import Places

    _refuse_others(out)
    study, places = read_study(path), Places(out=out, study=str(path))
    refuse_wrong_words(plan_steps(study, places))
    _claim(out, path.stem)
    if run_study(study, places).failed:
        return 1
    say("")
    for name in _TOLD:
        say((out / name).read_text(encoding="utf-8"))
    return 0


def _refuse_others(out: Path) -> None:
    require_folder(out)
    if out.exists() and any(out.iterdir()) and not (out / _MARK).is_file():
        raise UsageError(f"{out} holds something that is not a demo; give another --out")


def _claim(out: Path, name: str) -> None:
    """Make a folder ours; what a demo of another size left in it goes."""
    from vifi.study.study_lock import only_study

    mark, ours = out / _MARK, name.encode()
    if mark.exists() and read_regular(mark) != ours:
        # Not under a demo that is at work.
        with only_study(out):
            # If this is stopped what is left is still ours, and of no size.
            mark.write_bytes(b"")
            for entry in out.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                elif entry != mark:
                    entry.unlink()
    out.mkdir(parents=True, exist_ok=True)
    mark.write_bytes(ours)
