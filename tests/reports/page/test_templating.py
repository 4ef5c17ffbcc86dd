"""Whatever a template is given is text: tags and attributes stay those that it was written with."""

import html
import itertools
import json
import re
import sys
from collections import Counter
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError, nodes
from markupsafe import Markup

from reports import templating
from reports.templating import TEMPLATES, environment, record_columns, render
from tests.reports.page.conftest import picture

BAD = "</script></style><script>alert(1)</script><b id=x onclick='y'>\"'&<!--"
# Our own style sheet and script, which are no texts.
UNESCAPED = {("page.html", "style"), ("page.html", "table_script")}


class Skeleton(HTMLParser):
    """Tags and the names of their attributes, as a browser finds them; tags must be nested."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: Counter = Counter()
        self.open: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.found[tag, *(name for name, _ in attributes)] += 1
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found[tag, *(name for name, _ in attributes)] += 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def skeleton(text: str) -> Counter:
    parsed = Skeleton()
    parsed.feed(text)
    parsed.close()
    assert parsed.open == []
    return parsed.found


def outputs(name: str) -> list[nodes.Expr]:
    """What a template puts between its own words."""
    source = (TEMPLATES / name).read_text(encoding="utf-8")
    parts = environment().parse(source).find_all(nodes.Output)
    shown = itertools.chain.from_iterable(part.nodes for part in parts)
    return [node for node in shown if not isinstance(node, nodes.TemplateData)]


class Spoiler:
    """Puts bad signs into every text that a template shows, and notes which line showed it."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, int]] = set()

    def __call__(self, value: object) -> object:
        frame = sys._getframe(1)
        name = frame.f_code.co_filename.rsplit("/", 1)[-1]
        if (TEMPLATES / name).is_file():
            template = environment().get_template(name)
            self.seen.add((name, template.get_corresponding_lineno(frame.f_lineno)))
        return value if isinstance(value, Markup) else f"{BAD}{value}"


@pytest.fixture
def spoiler(monkeypatch):
    """Templates whose every text is spoilt."""
    found = Spoiler()
    spoilt = environment(found)
    monkeypatch.setattr(templating, "environment", lambda: spoilt)
    return found


@pytest.fixture
def fuller_folder(full_folder):
    """`full_folder` with what a page shows only sometimes."""
    inner = full_folder / "artefacts"
    many = [{"id": str(number), "reason": "short"} for number in range(501)]
    (inner / "quarantine.json").write_text(json.dumps(many))
    gallery = json.loads((inner / "gallery.json").read_text())
    gallery[0]["thumbnail"] = "artefacts/thumbnails/shapes/0.jpg"
    (inner / "gallery.json").write_text(json.dumps(gallery))
    origin = json.loads((inner / "provenance.json").read_text())
    origin["checkpoints"][1]["tuned_on"] = [{"dataset": "d", "split": "train"}]
    origin["checkpoints"][1]["run_step"] = 200
    (inner / "provenance.json").write_text(json.dumps(origin))
    points = pd.read_csv(inner / "tsne.csv")
    points.loc[points["id"] == "v1", "label"] = None
    points.to_csv(inner / "tsne.csv", index=False)
    for name in ("tsne", "fusion-heatmap"):
        picture(full_folder / f"{name}.png")
    return full_folder


@pytest.fixture
def small_limits():
    """Pages that leave something out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reports.page.class_view.MAX_VIDEOS", 3)
        patch.setattr("reports.page.sections.MAX_RUNS", 1)
        patch.setattr("reports.page.numbers.MAX_NUMBERS", 60)
        yield


@pytest.mark.usefixtures("fuller_folder", "small_limits")
def test_every_slot_of_every_template_is_escaped(
    write_full_page, small_table, spoiler, monkeypatch
):
    spoilt = write_full_page().read_text(encoding="utf-8")
    alone = render("table_document.html", table=small_table)
    seen = set(spoiler.seen)
    monkeypatch.undo()
    assert skeleton(spoilt) == skeleton(write_full_page().read_text(encoding="utf-8"))
    assert skeleton(alone) == skeleton(render("table_document.html", table=small_table))
    assert html.unescape(spoilt).count(BAD) > len(seen)
    names = [path.name for path in TEMPLATES.iterdir()]
    every = {(name, node.lineno) for name in names for node in outputs(name)}
    # Where nothing is known of single videos, their number is told in place of a table.
    assert every - seen == {("quarantine.html", 10)}


@pytest.mark.usefixtures("fuller_folder")
def test_steps_of_a_run_and_of_its_parents_are_told_apart(write_full_page):
    text = write_full_page().read_text(encoding="utf-8")
    assert "<small>step 1,200</small>" in text, "of the parent, of which no more is known"
    assert "<small>step 200 (1,200 with its parents')</small>" in text


def test_only_our_style_sheet_and_script_are_no_texts():
    texts = {path.name: path.read_text(encoding="utf-8") for path in TEMPLATES.iterdir()}
    marked = {
        (name, word)
        for name, text in texts.items()
        for word in re.findall(r"(\w+)\s*\|\s*safe|autoescape|Markup", text)
    }
    assert marked == UNESCAPED


def test_what_a_template_lacks_is_an_error():
    with pytest.raises(UndefinedError, match="table"):
        render("table_document.html")


texts = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["</script>", "<!--<script>", "\u2028", "]]>", "&lt;"]
)


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(texts, st.lists(texts)))
def test_embedded_json_reads_back_and_ends_no_script(value):
    text = environment().from_string("{{ value|tojson }}").render(value=value)
    assert json.loads(text) == value
    assert not set("<>&'") & set(text)


def test_json_keeps_its_order_and_refuses_what_is_no_number():
    template = environment().from_string("{{ value|tojson }}")
    assert template.render(value={"b": 1, "a": "é"}) == '{"b":1,"a":"é"}'
    with pytest.raises(ValueError, match="JSON"):
        template.render(value=float("nan"))


def test_columns_are_the_keys_that_have_a_value():
    records = [{"a_b": 1, "c": "", "d": True, "e": None}, {"a_b": 2.5, "d": False, "f": "x"}]
    assert record_columns(records) == {"a_b": True, "d": False, "f": False}
    text = environment().get_template("records.html").module.records_table(records)
    assert '<th scope="col" class="number">a b</th>\n<th scope="col">d</th>' in text
