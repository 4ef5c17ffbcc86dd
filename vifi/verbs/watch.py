"""`vifi watch FOLDER S`: extract every checkpoint of a folder as it appears."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from vifi.command_line.cluster_arguments import ClusterArguments
from vifi.command_line.command_log import remember_command
from vifi.command_line.console import parse, print_json, say
from vifi.command_line.endings import print_error
from vifistore.errors import Faults
from vifistore.extract.extract_settings import EncodeSettings
from vifistore.following.follow_settings import FollowSettings
from vifistore.models.config_files import model_faults
from vifistore.models.load_settings import RANDOM
from vifistore.store import open_store

if TYPE_CHECKING:
    from vifistore.following.follow import Followed


@dataclass(frozen=True, kw_only=True)
class WatchArguments(ClusterArguments):
    """Extract every checkpoint of a folder as it appears; kill it and start it again at will.

    A file that cannot be loaded is named and skipped, and looked at again when it changes.
    """

    folder: tyro.conf.Positional[Path]
    """Folder of checkpoints: of a training run, or of files copied from elsewhere."""
    store: tyro.conf.Positional[str]
    """Path of the store, or its URL: s3://bucket/S.zarr."""
    dataset: str
    """Dataset to encode under every checkpoint."""
    follow: FollowSettings
    encode: EncodeSettings
    json: bool = False
    """Print one JSON document at the end."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    found = Faults()
    wanted = parse("watch", WatchArguments, arguments, faults=found)
    if wanted.follow.model:
        # Its weights are in the files that are followed.
        model_faults(found, wanted.follow.model, RANDOM)
    wanted.note_cluster(found)
    found.refuse()
    dataset = open_store(wanted.store, mode="a").dataset(wanted.dataset)

    # torch and OpenCLIP take seconds to import: only once the call is known to be right.
    from vifistore.following.follow import follow

    # What became of a file last is what counts: it may have been mended.
    last: dict[Path, Followed] = {}
    where = wanted.cluster() if wanted.on else None
    for followed in follow(dataset, wanted.folder, wanted.encode, wanted.follow, where):
        last[followed.path] = followed
        _tell(followed, json=wanted.json)
    remember_command(dataset.store)
    if wanted.json:
        print_json({"checkpoints": [_document(followed) for followed in last.values()]})
    if any(followed.error for followed in last.values()):
        return 1
    reports = [followed.report for followed in last.values() if followed.report]
    return 3 if any(report.num_quarantined for report in reports) else 0


def _tell(followed: "Followed", *, json: bool) -> None:
    if followed.error:
        print_error(f"{followed.path.name} is skipped: {followed.error}")
    elif (report := followed.report) and not json:
        state = "sealed" if report.sealed else "not complete"
        say(
            f"{followed.path.name} ({followed.digest}) is {report.name} ({report.id}): "
            f"{report.encoded} encoded, {report.reused} reused, {report.quarantined} quarantined "
            f"now; {state}"
        )


def _document(followed: "Followed") -> dict:
    report = vars(followed.report) if followed.report else None
    return {
        "file": followed.path.name,
        "digest": followed.digest,
        "features": report,
        "error": followed.error,
    }
