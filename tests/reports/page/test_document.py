import re

from harness.results.artefacts import Artefacts
from reports.measurements import measurements
from reports.page.document import write_page
from reports.report import all_tables

SECTIONS = (
    *("Summary", "Beside the paper", "Tables", "Figures", "Maps", "Retrieval", "Attention"),
    *("Classes", "Taken for what", "Right and wrong", "Training"),
    *("Quarantine", "Throughput", "Provenance", "Numbers", "Commands"),
)


def test_every_section_is_there(page):
    for name in SECTIONS:
        assert f">{name}</h2>" in page
        assert f'href="#{name.lower().replace(" ", "-")}"' in page


def test_names_from_outside_are_escaped(page, nasty):
    assert nasty not in page
    assert '<b>&"' not in page
    assert "&lt;b&gt;&amp;" in page
    assert "bad/&lt;b&gt;" in page


def test_nothing_comes_from_the_network(page):
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//|@import|url\(", page)
    assert re.findall(r"<script src=\"(.*?)\"", page) == ["page/plotly.min.js", "page/page.js"]


def test_images_are_relative_and_have_a_text(page, full_folder):
    sources = re.findall(r"<img [^>]*src=\"([^\"]+)\"", page)
    assert "artefacts/thumbnails/shapes/0.jpg" in sources
    assert "attention/a%20%3Cb%3E%20%231.png" in sources
    assert not any("passwd" in source for source in sources)
    assert page.count("<img") == len(re.findall(r"<img [^>]*alt=\"[^\"]+\"", page))


def test_numbers_provenance_and_commands(page):
    assert "53.5" in page
    assert "[50.5, 56.5]" in page
    assert "c" * 12 in page
    assert "c" * 13 not in page
    assert page.count("--features vanilla</code></li>") == 1
    assert "vifi tsne &lt;b&gt;" in page
    assert "27.43" in page  # 240 videos in 8.75 seconds
    assert "63.50" in page
    assert "zarr 3.1" in page
    assert 'style="--depth: 1"><b>&lt;b&gt;' in page


def test_what_the_numbers_of_a_map_are_is_told(page):
    for words in ("silhouette, from", "kNN, the share", "separability, the share"):
        assert words in page


def test_light_and_dark_narrow_and_wide(page):
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in page
    assert '<html lang="en">' in page
    assert 'class="skip" href="#content"' in page


def test_without_artefacts_sections_and_scripts_are_left_out(row, tmp_path):
    rows = [row(num_quarantined=3)]
    found = measurements(rows)
    files = write_page(tmp_path, rows, found, all_tables(found), Artefacts(tmp_path))
    assert [path.name for path in files] == ["index.html"]
    page = files[0].read_text()
    assert '<h2 id="throughput-heading"' not in page
    assert "3 videos of the scored splits could not be decoded" in page
    # What sorts tables is in the page; nothing is drawn.
    assert page.count("<script") == 1
    assert "<script src" not in page
