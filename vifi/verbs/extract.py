"""`vifi extract S`: encode a dataset's videos with a checkpoint."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vifi.command_line.cluster_arguments import ClusterArguments
from vifi.command_line.command_log import remember_command
from vifi.command_line.console import parse, print_json, say
from vifi.command_line.shared_arguments import PrintArguments, StoreArguments
from vifistore.errors import Faults, UsageError, shell
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.ranks import current_rank, parse_blocks, rank_blocks
from vifistore.extract.run_figures import summary
from vifistore.models.config_files import model_faults
from vifistore.progress import duration
from vifistore.store import open_store
from vifistore.store.dataset import Dataset
from vifistore.store.names import check_set_name
from vifistore.store.schema import BLOCK_SIZE

if TYPE_CHECKING:
    from vifistore.extract.job import JobReport

logger = logging.getLogger("vifi")


@dataclass(frozen=True, kw_only=True)
class ExtractArguments(PrintArguments, ClusterArguments, StoreArguments):
    """Encode a dataset's videos with a checkpoint; run again to go on after a stop."""

    dataset: str
    """Dataset to encode."""
    settings: ExtractSettings
    blocks: str = ""
    """Only blocks A:B of 64 videos, for a machine that has no other videos. Without it, processes
    share a dataset: each takes what nobody else has, and those that torchrun, srun or mpirun
    started begin with every n-th block."""
    limit: int | None = None
    """At most so many videos."""
    retry: bool = False
    """Try the quarantined videos again, and nothing else; a sealed set is sealed again."""
    repair: bool = False
    """Encode the damaged blocks again, and prove that all others stayed as they were."""
    dry_run: bool = False
    """Say what would be done and about how long it would take, and do nothing."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    found = Faults()
    wanted = parse("extract", ExtractArguments, arguments, faults=found)
    _note(found, wanted)
    found.refuse()
    store = open_store(wanted.store, mode="r" if wanted.dry_run else "a")
    dataset = store.dataset(wanted.dataset)
    num_videos = dataset.num_videos
    share, helps = _share(wanted, num_videos)
    if wanted.on and not wanted.dry_run:
        return _extract_on_ray(dataset, wanted, share if not helps else None)

    # torch and OpenCLIP take seconds to import: only once the call is known to be right.
    from vifistore.extract.job import extract_dataset, plan_dataset

    if wanted.dry_run:
        plan = plan_dataset(dataset, wanted.settings, blocks=share, limit=wanted.limit)
        return _print_plan(plan, as_json=wanted.json)
    report = extract_dataset(
        dataset,
        wanted.settings,
        blocks=None if helps else share,
        first=share if helps else None,
        limit=wanted.limit,
        retry=wanted.retry,
        repair=wanted.repair,
    )
    remember_command(store)
    return _print_report(report, wanted)


def _extract_on_ray(dataset: Dataset, wanted: ExtractArguments, blocks: range | None) -> int:
    from vifistore.cluster.again import begin, begin_repair, begin_retry
    from vifistore.cluster.on_ray import extract_on_ray
    from vifistore.extract.row_sources import Wanted

    of_set = Wanted(blocks=blocks, limit=wanted.limit)
    beginning = begin_retry if wanted.retry else begin_repair if wanted.repair else begin
    told = (dataset, wanted.settings, wanted.cluster(), of_set)
    report = extract_on_ray(*told, beginning=beginning)
    remember_command(dataset.store)
    return _print_report(report, wanted)


def _note(found: Faults, wanted: ExtractArguments) -> None:
    """Note flags that are wrong or do not go together."""
    settings = wanted.settings
    told = f"--limit is {wanted.limit}; give 1 or more"
    found.check(wanted.limit is None or wanted.limit >= 1, told)
    told = "--retry and --repair are two things; give one after the other"
    found.check(not (wanted.retry and wanted.repair), told)
    is_part = wanted.limit is not None or bool(wanted.blocks)
    told = "--repair redoes every damaged block; give it without --limit and --blocks"
    found.check(not (wanted.repair and is_part), told)
    wanted.note_cluster(found)
    model_faults(found, settings.model, settings.pretrained)
    if settings.name:
        found.attempt(check_set_name, settings.name)


def _share(wanted: ExtractArguments, num_videos: int) -> tuple[range | None, bool]:
    """The blocks of this process, None for all; whether it does others as well, once it is done."""
    if wanted.blocks:
        return parse_blocks(wanted.blocks, num_videos), False
    rank = current_rank()
    if rank is None or rank.count == 1:
        return None, True
    if wanted.repair:
        raise UsageError(
            f"--repair is the work of one process, and this is one of {rank.count}; run it without "
            "torchrun, srun or mpirun"
        )
    helps = not wanted.retry
    logger.info(
        "process %d of %d %s one block of %d videos in %d; --blocks chooses others",
        *(rank.number, rank.count, "begins with" if helps else "takes", BLOCK_SIZE, rank.count),
    )
    return rank_blocks(rank, num_videos), helps


def _print_report(report: "JobReport", wanted: ExtractArguments) -> int:
    if report.figures:
        logger.info("%s", summary(report.figures))
    if wanted.json:
        print_json(vars(report))
    else:
        reused = f"{report.reused} reused{' (files of equal bytes)' if report.reused else ''}"
        say(
            f"{report.name} ({report.id}): {report.encoded} encoded, {reused}, "
            f"{report.quarantined} quarantined now; {_state(report, wanted)}"
        )
    if report.num_quarantined:
        logger.warning(
            "%d videos are quarantined; see why with: %s; once that is mended, --retry tries them "
            "again",
            report.num_quarantined,
            shell("vifi", "info", wanted.store, "--quarantine"),
        )
    return 3 if report.num_quarantined else 0


def _state(report: "JobReport", wanted: ExtractArguments) -> str:
    """Whether the set is complete, and what completes it."""
    if report.sealed:
        return "sealed"
    if not report.num_todo:
        return (
            "not sealed yet, by the process that has blocks of it; if it has died, run this again"
        )
    left = f"not complete, {report.num_todo} videos to do"
    if wanted.blocks:
        # This process has done its blocks: the same command would find nothing.
        return f"{left}; run it for the other blocks"
    if wanted.limit is not None or wanted.retry:
        return f"{left}; run the same command to go on"
    return f"{left} by other processes; if one has died, run the same command again"


def _print_plan(plan: dict, *, as_json: bool) -> int:
    if as_json:
        print_json(plan)
        return 0
    free = plan["free_bytes"]
    seconds = plan["estimated_seconds"]
    say(
        f"{plan['todo']} of {plan['videos']} videos to do, {plan['frames']} frames, "
        f"{plan['bytes'] / 1e6:.1f} MB of embeddings; "
        + ("no limit of space is known" if free is None else f"{free / 1e9:.1f} GB free")
        + ("; " if seconds is None else f"; about {duration(seconds)}, from ")
        + plan["estimated_from"]
    )
    if "keeps_tokens" in plan:
        say(_cost_of_tokens(plan))
    return 0


def _cost_of_tokens(plan: dict) -> str:
    """Both costs of classes that come later."""
    size = f"{plan['token_bytes'] / 1e6:.1f} MB, {plan['token_bytes_of_view']:,} bytes a view"
    if plan["keeps_tokens"]:
        return f"patch tokens are kept ({size}): classes that come later take no video"
    later = "patch tokens are not kept: classes that come later take encoding the videos again"
    # Of a set that is begun without them it is refused.
    return later if plan["todo"] < plan["videos"] else f"{later}, or --keep-tokens now ({size})"
