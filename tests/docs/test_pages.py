"""What the pages say of the code is so: links, paths, lists and tables."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from harness import released_code
from harness.fusion import FUSIONS
from reports.layouts.cells import METRIC_HEADINGS
from tests.docs.pages import PAGES, blocks_of
from tests.test_house import ROOT
from vifi.__main__ import VERBS
from vifistore.training import presets

_COSTS = {"num_frames", "views", "gflops", "throughput", "params_millions"}


def page(name: str) -> str:
    """Text of a page, every stretch of blanks as one."""
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


def prose(path: Path) -> str:
    """Text of a page without its blocks of code."""
    text = path.read_text(encoding="utf-8")
    for block in blocks_of(path):
        text = text.replace(block.text, "")
    return text


def anchors(text: str) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        found = (path.parent / name) if name else path
        assert found.exists(), target
        assert not anchor or anchor in anchors(found.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_files_that_are_named_are_there(path):
    text = prose(path)
    named = re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|md|toml|yml))(?=`| )", text)
    made = ("index.html", "reports/out/")
    assert [name for name in named if not (name.startswith(made) or (ROOT / name).exists())] == []
    folders = re.findall(
        r"`((?:vifistore|harness|reports|vifi|benchmarks|tests|locks)/[\w/]*)`", text
    )
    assert [name for name in folders if not (name.startswith(made) or (ROOT / name).exists())] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_verbs_that_are_named_are_there(path):
    named = set(re.findall(r"`vifi ([a-z][a-z-]*)", path.read_text(encoding="utf-8")))
    assert named <= VERBS.keys()


def test_every_fusion_and_metric_is_explained():
    text = page("docs/NUMBERS.md")
    rows = {f"`{name}`" for name in FUSIONS if not name.startswith("top-")} | {"`top-K`"}
    assert [name for name in rows if f"| {name} |" not in text] == []
    shared = {re.sub(r"_at_\d+$", "_at_K", name) for name in METRIC_HEADINGS.keys() - _COSTS}
    shared = {re.sub(r"^r\d_iou", "rN_iou", re.sub(r"_[\d.]+$", "_X", name)) for name in shared}
    assert [name for name in shared if f"`{name}`" not in text] == []


def test_every_difference_in_scoring_is_told():
    text = page("docs/DIFFERENCES.md")
    names = ("ALL_VIDEOS", "TEXTS", "IN_ORDER", "FIXED_CLIPS", "PIXELS", "FORMER_PIXELS")
    told = [getattr(released_code, name) for name in names] + [*released_code.PRECISION.values()]
    assert [sentence for sentence in told if f"- {sentence}" not in text] == []


def _entries(lines: list[str]) -> list[str]:
    """Entries of a list whose further lines are indented deeper than its first ones."""
    entries: list[str] = []
    for line in lines:
        if re.match(r" {4}\S", line):
            entries.append(line.strip())
        elif line.strip():
            entries[-1] += f"\n{line.strip()}"
    return entries


def test_every_difference_in_training_is_told():
    text = page("docs/DIFFERENCES.md")
    first, second = re.findall(r"\n\n((?: {4}.*\n)+)", presets.__doc__)
    for entry in _entries(first.splitlines()):
        name, exact, *others = re.split(r" {2,}|\n", entry)
        # A further line goes on with what the first column of words says.
        row = " | ".join([name, " ".join([exact, *others[1:]]), *others[:1]])
        assert f"| {row} |" in text, entry
    for entry in _entries(second.splitlines()):
        name, told = re.split(r" {2,}", entry.replace("\n", " "), maxsplit=1)
        # One is told elsewhere in the code, in more words.
        told = "" if told.startswith("see ") else f" {told} |"
        assert f"| {name} |{told}" in text, entry


def test_what_cites_and_what_checks_agree_with_the_project():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for field in ("version", "license"):
        assert citation[field] == project[field]
    assert citation["title"] == project["name"]
    assert citation["abstract"] == project["description"]
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert [step for step in steps if step.get("run") == ".ci/run"]
    setup = next(step for step in steps if "setup-python" in step.get("uses", ""))
    assert setup["with"]["python-version"].split() == ["3.12", "3.11"]
