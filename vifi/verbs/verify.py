"""`vifi verify S`: check every byte of a store."""

from dataclasses import dataclass

import tyro

from vifi.command_line.console import parse, print_json, say
from vifistore.store import open_store
from vifistore.store.verify import verify_store


@dataclass(frozen=True, kw_only=True)
class VerifyArguments:
    """Check a store: checksums of every chunk, digests, shapes, statuses, names, orphans."""

    store: tyro.conf.Positional[str]
    """Path of the store, or its URL: s3://bucket/S.zarr."""
    json: bool = False
    """Print one JSON document."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code: 1 if anything is wrong."""
    wanted = parse("verify", VerifyArguments, arguments)
    problems = list(verify_store(open_store(wanted.store)))
    if wanted.json:
        documents = [problem.as_dict() for problem in problems]
        print_json({"ok": not problems, "problems": documents})
        return 1 if problems else 0
    for problem in problems:
        say(f"{problem.where}: {' '.join(problem.what.split())}; to put it right: {problem.remedy}")
    say(f"{len(problems)} problems" if problems else "ok: every chunk is as it was written")
    return 1 if problems else 0
