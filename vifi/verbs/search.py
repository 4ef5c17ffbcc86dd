"""`vifi search S "words"`: the videos, or the moments in them, that answer a query best."""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from vifi.command_line.console import parse, print_json, say
from vifi.command_line.shared_arguments import PrintArguments, StoreArguments
from vifi.command_line.template_sets import expand
from vifi.searching.answers import Answer
from vifi.searching.saved_hits import check_savable, documents, save_hits
from vifistore.errors import UsageError
from vifistore.files import read_regular
from vifistore.models.wording import BARE_TEMPLATE, check_templates, fill
from vifistore.sources.asking import without_secrets

if TYPE_CHECKING:
    import numpy as np

    from harness.retrieval.hits import Hit
    from harness.retrieval.search import Searcher
    from vifistore.store.store import Store


logger = logging.getLogger("vifi")

# Several are given one by one.
_REPEATABLE = ("--dataset", "--label")


@dataclass(frozen=True, kw_only=True)
class SearchArguments(PrintArguments, StoreArguments):
    """Find videos by words, by a video of the store, or by a picture."""

    words: tyro.conf.Positional[str] = ""
    """What to look for, in words."""
    k: Annotated[int, tyro.conf.arg(aliases=["-k"])] = 10
    """Number of hits."""
    features: str = ""
    """Name or id of the feature set. Default: the store's only one."""
    like: str = ""
    """A video of the store to find others like: its id, its path, or DATASET/ID."""
    image: Path | None = None
    """A picture to find videos like."""
    queries: Path | None = None
    """A file with one query in words per line."""
    template: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Prompt that a query in words is put into, {} standing for it, or a named set (paper, bare,
    kinetics, actionclip). Default: the one that the checkpoint was trained with, else the words
    as they are typed, which is also what bare does."""
    frames: bool = False
    """Find moments instead of whole videos: stretches of neighbouring frames."""
    dataset: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Search only this dataset; give it again for another one. Default: every one that has the
    feature set."""
    split: str = ""
    """Search only the videos of this split."""
    label: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Search only videos with this label; give it again for another one."""
    start: Annotated[float | None, tyro.conf.arg(name="from")] = None
    """Search only what lies behind this second of each file."""
    end: Annotated[float | None, tyro.conf.arg(name="to")] = None
    """Search only what lies before this second of each file."""
    min_seconds: float | None = None
    """Search only files that are at least so long."""
    max_seconds: float | None = None
    """Search only files that are at most so long."""
    index: Literal["flat", "ivf", "hnsw"] = "flat"
    """Index to search in: flat (exact), or ivf or hnsw if vifi index made it."""
    save: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """File to write the hits to: FILE.csv, FILE.json, or FILE.sh, a script that cuts them out of
    their videos with ffmpeg. May be given several times."""
    results: Path | None = None
    """Folder to add the hits to, with thumbnails, for vifi report."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("search", SearchArguments, arguments, repeatable=_REPEATABLE)
    texts = _texts(wanted)
    check_savable(wanted.save)

    # FAISS and the store take half a second to import: only once the call is known to be right.
    from harness.results import made_folder
    from harness.retrieval.filters import TimeFilter
    from harness.retrieval.search import Searcher
    from vifistore.store import open_store

    times = TimeFilter(
        start_seconds=wanted.start,
        end_seconds=wanted.end,
        min_seconds=wanted.min_seconds,
        max_seconds=wanted.max_seconds,
    )
    store = open_store(wanted.store)
    searcher = Searcher(
        store,
        wanted.features,
        dataset=[name for name in wanted.dataset if name],
        split=wanted.split,
        label=[label for label in wanted.label if label],
        times=times,
        kind=wanted.index,
    )
    if wanted.results is not None:
        made_folder(wanted.results)
    answers = _answers(store, searcher, wanted, texts)
    _print(answers, searcher.name, wanted)
    for path in wanted.save:
        save_hits(path, answers, searcher)
    if wanted.results is not None:
        from vifi.scoring.store_facts import record_command
        from vifi.searching.gallery import add_to_gallery

        add_to_gallery(wanted.results, store, searcher.name, answers)
        record_command(wanted.results)
    return 0


def _texts(wanted: SearchArguments) -> list[str]:
    """The queries in words; raises UsageError unless there is just one kind of query."""
    words = wanted.words.strip()
    given = [words, wanted.like, wanted.image, wanted.queries]
    if sum(map(bool, given)) != 1:
        raise UsageError(
            'give one query: words, as in vifi search S "someone juggling", or --like VIDEO, '
            "--image FILE or --queries FILE"
        )
    for flag, value in (("--like", wanted.like), ("--image", wanted.image), ("the query", words)):
        _require_no_secret(flag, str(value or ""))
    if wanted.k < 1:
        raise UsageError(f"-k (--k) is {wanted.k}; give 1 or more")
    check_templates(expand(wanted.template))
    if wanted.template and not (words or wanted.queries):
        raise UsageError("--template is for queries in words; leave it out")
    if wanted.queries is None:
        return [_printable(words)] if words else []
    try:
        # Editors on Windows begin UTF-8 with a mark, which is no part of the first query.
        lines = read_regular(wanted.queries).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"{wanted.queries} is not UTF-8 text ({error}); convert it") from error
    except OSError as error:
        raise UsageError(
            f"{wanted.queries} cannot be read ({error.strerror}); give a file with a query per line"
        ) from error
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise UsageError(f"{wanted.queries} holds no query; write one per line")
    return texts


def _require_no_secret(flag: str, value: str) -> None:
    """Raise UsageError for an address with a query or a password: it would lie in what is printed,
    and in the log."""
    # A path has lost the second slash.
    address = re.sub(r"^\s*([a-zA-Z][a-zA-Z0-9+]*):/+", r"\1://", value)
    if "://" in address and address != (told := without_secrets(address)):
        raise UsageError(
            f"{flag} is an address with a query or a password ({told}); name a video of the store "
            "by its id, or copy the file"
        )


def _printable(words: str) -> str:
    """The same words. Raises UsageError for bytes that the shell's encoding has no letters for."""
    try:
        words.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"the query {words!r} is not UTF-8 text; type it in letters") from error
    return words


def _answers(
    store: "Store", searcher: "Searcher", wanted: SearchArguments, texts: list[str]
) -> list[Answer]:
    # Reading the index and reading the text tower wait for the disk: both at once.
    ahead = Thread(target=_open_quietly, args=(searcher,))
    ahead.start()
    try:
        if wanted.like:
            return [_like(searcher, wanted)]
        if wanted.image:
            return [_by_picture(searcher, wanted, wanted.image)]
        return _by_words(store, searcher, wanted, texts)
    finally:
        ahead.join()


def _open_quietly(searcher: "Searcher") -> None:
    try:
        _ = searcher.indexes
    except (OSError, ValueError, RuntimeError):
        # Whoever asks for the indexes next meets the same error, and reports it.
        return


def _find(
    searcher: "Searcher",
    wanted: SearchArguments,
    vectors: "np.ndarray",
    without: tuple[str, int] | None = None,
) -> "list[list[Hit]]":
    find = searcher.moments if wanted.frames else searcher.search
    return find(vectors, wanted.k, without=without)


def _by_words(
    store: "Store", searcher: "Searcher", wanted: SearchArguments, texts: list[str]
) -> list[Answer]:
    from harness.retrieval.hits import class_in_words
    from vifi.searching.query_words import query_encoder, query_templates

    templates = expand(wanted.template) or query_templates(searcher.checkpoint)
    if not wanted.template and templates != (BARE_TEMPLATE,):
        logger.info(
            "asked as “%s”, as %s was trained; --template bare asks as typed",
            *(fill(templates[0], texts[0]), searcher.name),
        )
    encode = query_encoder(store, searcher.checkpoint, templates)
    found = _find(searcher, wanted, encode(texts))
    names = [name for source in searcher.sources for name in source.dataset.class_names()]
    kind = "frames" if wanted.frames else "text"
    return [
        Answer(query=text, kind=kind, hits=hits, wanted=class_in_words(text, names))
        for text, hits in zip(texts, found, strict=True)
    ]


def _like(searcher: "Searcher", wanted: SearchArguments) -> Answer:
    video = searcher.find_video(wanted.like)
    (hits,) = _find(searcher, wanted, searcher.vector_of(*video), without=video)
    return Answer(
        query=wanted.like,
        kind="video-frames" if wanted.frames else "video",
        hits=hits,
        wanted=searcher.label_of(*video),
        video=video,
    )


def _by_picture(searcher: "Searcher", wanted: SearchArguments, image: Path) -> Answer:
    from vifi.searching.query_encoders import encode_picture

    features = searcher.sources[0]
    vector = encode_picture(features, searcher.checkpoint, image)
    (hits,) = _find(searcher, wanted, vector)
    kind = "image-frames" if wanted.frames else "image"
    return Answer(query=str(image), kind=kind, hits=hits)


def _print(answers: list[Answer], features: str, wanted: SearchArguments) -> None:
    if wanted.json:
        told = documents(answers, features)
        print_json({"queries": told} if wanted.queries else told[0])
        return
    for answer in answers:
        if wanted.queries:
            say(f"{answer.query}:")
        for hit in answer.hits:
            say(_line(hit, with_times=wanted.frames))
        if not answer.hits:
            say(_nothing_found(wanted))


def _nothing_found(wanted: SearchArguments) -> str:
    flags = {
        **{"--dataset": wanted.dataset, "--split": wanted.split, "--label": wanted.label},
        **{"--from": wanted.start, "--to": wanted.end},
        **{"--min-seconds": wanted.min_seconds, "--max-seconds": wanted.max_seconds},
    }
    given = " and ".join(flag for flag, value in flags.items() if value or value == 0)
    passing = f"pass {given}" if given else "are searched"
    remedy = "; leave one of these out" if given else ""
    return f"nothing is found: none of the videos that {passing} has an embedding{remedy}"


def _line(hit: "Hit", *, with_times: bool) -> str:
    label = f" ({hit.label})" if hit.label else ""
    times = f" {hit.start_seconds:.1f}-{hit.end_seconds:.1f} s" if with_times else ""
    return f"{hit.rank:>3} {hit.score:.3f} {hit.dataset} {hit.id}{times}{label}"
