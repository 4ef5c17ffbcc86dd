import re
import shutil
import subprocess

import pytest

from harness.results import read_rows
from reports.artefacts import Artefacts, read_artefacts
from reports.measurements import measurements
from reports.page import write_page
from reports.report import all_tables

SECTIONS = ("Summary", "Beside the paper", "Tables", "Figures", "Quarantine", "Timings")
PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (800).to_bytes(4, "big") * 2


@pytest.fixture
def page(results_folder, nasty):
    (results_folder / "tsne.png").write_bytes(PNG)
    (results_folder / "tsne.svg").write_text("<svg/>")
    (results_folder / "attention").mkdir()
    (results_folder / "attention" / "a <b> #1.png").write_bytes(PNG)
    rows = read_rows(results_folder)
    artefacts = read_artefacts(results_folder)
    tables = all_tables(measurements(rows), artefacts.costs)
    return write_page(results_folder, rows, tables, artefacts).read_text(encoding="utf-8")


def test_every_section_is_there(page):
    for name in (*SECTIONS, "Provenance", "Commands"):
        assert f">{name}</h2>" in page
        assert f'href="#{name.lower().replace(" ", "-")}"' in page


def test_names_from_outside_are_escaped(page):
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;" in page
    assert "bad/&lt;b&gt;" in page


def test_nothing_comes_from_the_network(page):
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//|@import|url\(", page)
    assert "<script" not in page


def test_figures_are_linked_relative_with_a_text(page):
    assert 'src="tsne.svg" alt="t-SNE of video embeddings' in page
    assert 'href="tsne.png"' in page
    assert 'src="attention/a%20%3Cb%3E%20%231.png" alt="a &lt;b&gt; #1"' in page
    assert page.count("<img") == len(re.findall(r"<img [^>]*alt=\"[^\"]+\"", page)) == 2


def test_numbers_provenance_and_commands(page):
    assert "53.5" in page
    assert "[50.5, 56.5]" in page
    assert "c" * 12 in page
    assert "c" * 13 not in page
    assert page.count("--features vanilla</code></li>") == 1
    assert "27.43" in page  # 240 videos in 8.75 seconds


def test_light_and_dark_narrow_and_wide(page):
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in page
    assert '<html lang="en">' in page
    assert 'class="skip" href="#content"' in page


def test_without_artefacts_sections_are_left_out(row, tmp_path):
    rows = [row(num_quarantined=3)]
    page = write_page(tmp_path, rows, all_tables(measurements(rows)), Artefacts()).read_text()
    assert '<h2 id="timings-heading"' not in page
    assert "3 videos of the scored splits could not be decoded" in page


def test_it_fits_a_narrow_screen(page, results_folder):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium is installed")
    script = "<script>document.title = document.documentElement.scrollWidth</script></body>"
    path = results_folder / "measured.html"
    path.write_text(page.replace("</body>", script), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command = [browser, *flags, "--window-size=500,900", "--dump-dom", path.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert int(re.search(r"<title>(\d+)</title>", shown).group(1)) <= 500
