"""`vifi verify S`: check every byte of a store."""

from dataclasses import dataclass

from vifi.command_line.console import parse, print_json, say
from vifi.command_line.shared_arguments import PrintArguments, StoreArguments
from vifistore.store import open_store
from vifistore.store.verifying.verify import verify_store


@dataclass(frozen=True, kw_only=True)
class VerifyArguments(PrintArguments, StoreArguments):
    """Check a store: checksums of every chunk, digests, shapes, statuses, names, orphans."""


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
