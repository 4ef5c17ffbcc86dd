"""`vifi extract S`: encode a dataset's videos with a checkpoint."""

import logging
from dataclasses import dataclass
from pathlib import Path

import tyro

from vifi.console import parse, print_json, say
from vifistore.errors import UsageError
from vifistore.extract.settings import ExtractSettings
from vifistore.store import open_store


@dataclass(frozen=True, kw_only=True)
class ExtractArguments:
    """Encode a dataset's videos with a checkpoint; run again to go on after a stop."""

    store: tyro.conf.Positional[Path]
    """Path of the store."""
    dataset: str
    """Dataset to encode."""
    settings: ExtractSettings
    blocks: str = ""
    """Only blocks A:B of 64 videos, so that several machines can share a dataset."""
    limit: int | None = None
    """At most so many videos."""
    retry: bool = False
    """Try the quarantined videos again, and nothing else; a sealed set is sealed again."""
    repair: bool = False
    """Encode the damaged blocks again, and prove that all others stayed as they were."""
    dry_run: bool = False
    """Say what would be done, and do nothing."""
    json: bool = False
    """Print one JSON document."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("extract", ExtractArguments, arguments)
    store = open_store(wanted.store, mode="r" if wanted.dry_run else "a")
    num_videos = len(store.videos(wanted.dataset))
    if wanted.limit is not None and wanted.limit < 1:
        raise UsageError(f"--limit is {wanted.limit}; give 1 or more")
    if wanted.retry and wanted.repair:
        raise UsageError("--retry and --repair are two things; give one after the other")
    if wanted.repair and (wanted.limit is not None or wanted.blocks):
        raise UsageError(
            "--repair redoes every damaged block; give it without --limit and --blocks"
        )

    # torch and OpenCLIP take seconds to import: only once the call is known to be right.
    from vifistore.extract.job import extract_dataset
    from vifistore.extract.pipeline import parse_blocks

    blocks = parse_blocks(wanted.blocks, num_videos) if wanted.blocks else None
    if wanted.dry_run:
        return _print_plan(wanted, store, num_videos)
    report = extract_dataset(
        store,
        wanted.dataset,
        wanted.settings,
        blocks=blocks,
        limit=wanted.limit,
        retry=wanted.retry,
        repair=wanted.repair,
    )
    if wanted.json:
        print_json(vars(report))
    else:
        state = "sealed" if report.sealed else "not complete; run the same command to go on"
        say(
            f"{report.name} ({report.id}): {report.encoded} encoded, {report.reused} reused, "
            f"{report.quarantined} quarantined now; {state}"
        )
    if report.num_quarantined:
        logging.getLogger("vifi").warning(
            "%d videos are quarantined; see why with: vifi info %s --quarantine",
            report.num_quarantined,
            wanted.store,
        )
    return 3 if report.num_quarantined else 0


def _print_plan(wanted: ExtractArguments, store, num_videos: int) -> int:
    from vifistore.extract.job import plan_dataset

    plan = plan_dataset(store, wanted.dataset, wanted.settings)
    if wanted.json:
        print_json(plan)
    else:
        say(
            f"{plan['todo']} of {num_videos} videos to do, {plan['frames']} frames, "
            f"{plan['bytes'] / 1e6:.1f} MB of embeddings; {plan['free_bytes'] / 1e9:.1f} GB free"
        )
    return 0
