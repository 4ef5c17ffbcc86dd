"""What `vifi search` can be told, and what of it does not go together."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from vifi.command_line.shared_arguments import PrintArguments, StoreArguments
from vifi.command_line.template_sets import expand
from vifi.searching.query_lists import query_lines
from vifistore.errors import UsageError
from vifistore.models.wording import check_templates
from vifistore.sources.asking import without_secrets

if TYPE_CHECKING:
    from harness.retrieval.filters import TimeFilter
    from harness.retrieval.reranking import Rerank

REPEATABLE = ("--dataset", "--label", "--and", "--not", "--save")
"""Flags that are given again for several."""


@dataclass(frozen=True, kw_only=True)
class SearchArguments(PrintArguments, StoreArguments):
    """Find videos by words, by a video, or by a picture; by several of these together."""

    words: tyro.conf.Positional[str] = ""
    """What to look for, in words."""
    k: Annotated[int, tyro.conf.arg(aliases=["-k"])] = 10
    """Number of hits."""
    features: str = ""
    """Name or id of the feature set. Default: the store's only one."""
    like: str = ""
    """A video to find others like: one of the store by its id, its path, or DATASET/ID; a stretch
    of its file in seconds, as in VIDEO@12.5-20; or a video file, which is encoded."""
    image: Path | None = None
    """A picture to find videos like."""
    queries: Path | None = None
    """A file with one query in words per line."""
    also: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(name="and")] = ()
    """Words that have to fit as well; give it again for more."""
    unwanted: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(name="not")] = ()
    """Words that must not fit; give it again for more."""
    template: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Prompt that a query in words is put into, {} standing for it, or a named set (paper, bare,
    kinetics, actionclip). Default: the one that the checkpoint was trained with, else the words
    as they are typed, which is also what bare does."""
    hybrid: bool = False
    """Look for the words among captions, labels and ids as well, and join both by rank."""
    rerank: Literal["", "maxsim", "topk", "weighted"] = ""
    """Rank the best videos, or with --frames the best moments, anew by their frames: by the best
    frame, by the mean of the best ones, or by a mean of all, weighted by how well they fit the
    query."""
    candidates: int = 100
    """Videos or moments that --rerank looks at."""
    best_frames: int = 4
    """Frames that --rerank topk takes the mean of."""
    temperature: float = 0.1
    """Of the weights of --rerank weighted: the lower, the more the best frames count."""
    files_a_term: int = 100
    """With --frames, an index of them and --and: files that each term puts forward, and so does the
    mean of all, whose frames are compared with all terms. Small sets are compared whole."""
    per_file: int | None = None
    """Hits of one file; 0 for any number. Default: 1, its best row where rows are stretches of
    files, and any number of moments."""
    frames: bool = False
    """Find moments instead of whole videos: stretches of neighbouring frames. What --and and --not
    say is asked of one time together."""
    proposal: str = ""
    """Rule that draws the moments of --frames: half-way (the default: nearer to the video's best
    frame than to its mean), watershed, contrast."""
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
    index: Literal["auto", "flat", "ivf", "hnsw"] = "auto"
    """Index to search in: flat (exact), or ivf or hnsw if vifi index made it. Default: flat, and of
    more than that is fast for one of those that there are."""
    save: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """File to write the hits to: FILE.csv, FILE.json, or FILE.sh, a script that cuts them out of
    their videos with ffmpeg. May be given several times."""
    results: Path | None = None
    """Folder to add the hits to, with thumbnails, for vifi report."""

    @property
    def times(self) -> "TimeFilter":
        """Seconds and lengths of files that are searched."""
        from harness.retrieval.filters import TimeFilter

        return TimeFilter(
            start_seconds=self.start,
            end_seconds=self.end,
            min_seconds=self.min_seconds,
            max_seconds=self.max_seconds,
        )

    @property
    def reranked(self) -> "Rerank | None":
        """How the best are ranked anew."""
        from harness.retrieval.reranking import Rerank

        if not self.rerank:
            return None
        return Rerank(
            rule=self.rerank,
            candidates=self.candidates,
            best_frames=self.best_frames,
            temperature=self.temperature,
        )

    @property
    def filters(self) -> list[str]:
        """Flags that leave videos out."""
        given = {
            **{"--dataset": self.dataset, "--split": self.split, "--label": self.label},
            **{"--from": self.start, "--to": self.end},
            **{"--min-seconds": self.min_seconds, "--max-seconds": self.max_seconds},
        }
        return [flag for flag, value in given.items() if value or value == 0]


def checked_texts(wanted: SearchArguments) -> list[str]:
    """The queries in words, which --and and --not go with; raises UsageError for flags that are
    wrong or do not go together."""
    words = wanted.words.strip()
    _check_one_query(wanted, words)
    # Bytes that are no letters are told of first: an address has none.
    for text in (words, *wanted.also, *wanted.unwanted):
        _require_printable(text)
    told = {"--like": wanted.like, "--image": wanted.image, "--queries": wanted.queries}
    told |= {"the query": words, "--and": wanted.also, "--not": wanted.unwanted}
    for flag, value in told.items():
        for text in value if isinstance(value, tuple) else (value or "",):
            _require_no_secret(flag, str(text))
    for flag, texts in (("--and", wanted.also), ("--not", wanted.unwanted)):
        if not all(text.strip() for text in texts):
            raise UsageError(f"{flag} is empty; give it words, or leave it out")
    _check_numbers(wanted)
    _check_stages(wanted, words)
    if wanted.queries is not None:
        return query_lines(wanted.queries)
    return [words] if words else []


def _check_one_query(wanted: SearchArguments, words: str) -> None:
    if words and wanted.queries:
        raise UsageError("give one query in words, or --queries FILE with a query per line")
    if not (words or wanted.like or wanted.image or wanted.queries):
        more = " beside --and and --not" if wanted.also or wanted.unwanted else ""
        raise UsageError(
            f'give one query{more}: words, as in vifi search S "someone juggling", or --like '
            "VIDEO, --image FILE or --queries FILE"
        )


def _check_numbers(wanted: SearchArguments) -> None:
    if wanted.k < 1:
        raise UsageError(f"-k (--k) is {wanted.k}; give 1 or more")
    if wanted.per_file is not None and wanted.per_file < 0:
        raise UsageError(f"--per-file is {wanted.per_file}; give 1 or more, 0 for any number")
    if wanted.files_a_term < 1:
        raise UsageError(f"--files-a-term is {wanted.files_a_term}; give 1 or more")
    _ = wanted.times, wanted.reranked
    usual = SearchArguments(store="")
    for flag, rule in (("candidates", ""), ("best_frames", "topk"), ("temperature", "weighted")):
        is_meant = wanted.rerank == rule if rule else wanted.rerank
        if not is_meant and getattr(wanted, flag) != getattr(usual, flag):
            raise UsageError(
                f"--{flag.replace('_', '-')} is of --rerank {rule or 'maxsim, topk and weighted'}; "
                "give that, or leave it out"
            )


def _check_stages(wanted: SearchArguments, words: str) -> None:
    """Raise UsageError for stages of a search that are not there."""
    check_templates(expand(wanted.template))
    in_words = bool(words or wanted.queries or wanted.also or wanted.unwanted)
    if wanted.template and not in_words:
        raise UsageError("--template is for queries in words; leave it out")
    if wanted.hybrid and not (words or wanted.queries or wanted.also):
        raise UsageError("--hybrid looks for words among captions and labels; give some")
    if wanted.files_a_term != SearchArguments(store="").files_a_term and not wanted.frames:
        raise UsageError("--files-a-term is of moments; give --frames with it, or leave it out")
    if wanted.proposal and not wanted.frames:
        raise UsageError("--proposal draws moments; give --frames with it, or leave it out")


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


def _require_printable(words: str) -> None:
    """Raise UsageError for bytes that the shell's encoding has no letters for."""
    try:
        words.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"the query {words!r} is not UTF-8 text; type it in letters") from error
