"""`vifi search S "words"`: the videos, or the moments in them, that answer a query best."""

from typing import TYPE_CHECKING

from vifi.command_line.console import parse, print_json, printable, say
from vifi.searching.answers import Answer
from vifi.searching.saved_hits import check_savable, documents, save_hits
from vifi.searching.search_arguments import REPEATABLE, SearchArguments, checked_texts

if TYPE_CHECKING:
    from harness.retrieval.hits import Hit


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("search", SearchArguments, arguments, repeatable=REPEATABLE)
    texts = checked_texts(wanted)
    check_savable(wanted.save)

    # FAISS and the store take half a second to import: only once the call is known to be right.
    from harness.results import made_folder
    from harness.retrieval.moments.proposals import HALF_WAY, check_proposal
    from harness.retrieval.search import Searcher
    from vifi.searching.asked_queries import answers_to
    from vifistore.store import open_store

    check_proposal(wanted.proposal or HALF_WAY)
    store = open_store(wanted.store)
    searcher = Searcher(
        store,
        wanted.features,
        dataset=[name for name in wanted.dataset if name],
        split=wanted.split,
        label=[label for label in wanted.label if label],
        times=wanted.times,
        kind=wanted.index,
    )
    if wanted.results is not None:
        made_folder(wanted.results)
    answers = answers_to(store, searcher, wanted, texts)
    _print(answers, searcher.name, wanted)
    for path in wanted.save:
        save_hits(path, answers, searcher)
    if wanted.results is not None:
        from vifi.scoring.store_facts import record_command
        from vifi.searching.gallery import add_to_gallery

        add_to_gallery(wanted.results, store, searcher.name, answers)
        record_command(wanted.results)
    return 0


def _print(answers: list[Answer], features: str, wanted: SearchArguments) -> None:
    if wanted.json:
        told = documents(answers, features)
        print_json({"queries": told} if wanted.queries else told[0])
        return
    for answer in answers:
        if wanted.queries:
            say(f"{printable(answer.query)}:")
        for hit in answer.hits:
            say(_line(hit, wanted))
        if answer.compared and answer.compared[0] < answer.compared[1]:
            files, of = answer.compared
            say(
                f"of {of:,} files the frames of {files:,} were compared, the best by each term; "
                f"--files-a-term {4 * wanted.files_a_term} compares more"
            )
        if not answer.hits:
            say(_nothing_found(wanted))


def _nothing_found(wanted: SearchArguments) -> str:
    given = " and ".join(wanted.filters)
    passing = f"pass {given}" if given else "are searched"
    remedy = "; leave one of these out" if given else ""
    return f"nothing is found: none of the videos that {passing} has an embedding{remedy}"


def _line(hit: "Hit", wanted: SearchArguments) -> str:
    label = f" ({printable(hit.label)})" if hit.label else ""
    # Reciprocal ranks lie close together.
    score = f"{hit.score:.4f}" if wanted.hybrid else f"{hit.score:.3f}"
    return f"{hit.rank:>3} {score} {hit.dataset} {printable(hit.id)}{_times(hit, wanted)}{label}"


def _times(hit: "Hit", wanted: SearchArguments) -> str:
    if not (wanted.frames or hit.is_part) or hit.start_seconds is None:
        return ""
    end = "" if hit.end_seconds is None else f"{hit.end_seconds:.1f}"
    return f" {hit.start_seconds:.1f}-{end} s"
