"""The page in a real browser: nothing fails, it fits, and its plots answer the pointer."""

import pytest

from tests.browser import Browser, needs_browser

pytestmark = [needs_browser, pytest.mark.slow]
# Where a point of a map is on the screen, and the same for a name of its legend.
FIRST_POINT = """(() => {
  const area = document.querySelector('.map .area');
  area.scrollIntoView({block: 'center', behavior: 'instant'});
  const box = area.querySelector('.points path').getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
})()"""
RINGS = """[...document.querySelectorAll('.map .area')].map(
  (area) => area.querySelectorAll('.trace.scatter:nth-of-type(2) .points path').length)"""
FADED = """[...document.querySelector('.map .area').data[0].marker.opacity].filter(
  (opacity) => opacity < 0.1).length"""


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (420, True)])
def test_nothing_fails_and_nothing_is_cut_off(write_full_page, width, dark):
    with Browser(width=width, height=900, dark=dark) as browser:
        browser.open(write_full_page().as_uri())
        assert browser.wait_for("document.querySelectorAll('.js-plotly-plot .main-svg').length > 8")
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        # Plots stand in for the pictures.
        assert browser.evaluate("document.querySelector('.map > .sheet') === null")
        assert browser.problems == []


def test_the_caption_of_a_folded_table_has_room(write_full_page):
    with Browser(width=1280, height=900) as browser:
        browser.open(write_full_page().as_uri())
        figures = "[...document.querySelectorAll('.tables figure')]"
        # As folded ones are: a caption alone, beside whole tables.
        browser.evaluate(f"{figures}[1].querySelector('table').remove()")
        widths = browser.evaluate(f"{figures}.map((one) => one.getBoundingClientRect().width)")
        assert min(widths) >= 30 * 16 - 1


def test_every_row_of_the_heat_map_has_a_line_and_a_name(write_full_page):
    with Browser(width=1280, height=900) as browser:
        browser.open(write_full_page().as_uri())
        area = "document.querySelector('[data-plot=\"fusion-heatmap\"] .area')"
        browser.wait_for(f"{area}.querySelectorAll('.ytick').length > 1")
        browser.evaluate("window.read = JSON.parse(document.getElementById('plots').textContent)")
        names = browser.evaluate("read['fusion-heatmap'].panels[0].rows")
        # By number: two models whose names are cut short alike are two rows.
        assert browser.evaluate(f"[...{area}.data[0].y]") == list(range(len(names)))
        ticks = f"[...{area}.querySelectorAll('.ytick text')].map((tick) => tick.textContent)"
        assert sorted(browser.evaluate(ticks)) == sorted(n.replace("\n", "") for n in names)
        assert browser.problems == []


def test_the_map_shows_class_video_and_picture_under_the_pointer(write_full_page, nasty):
    with Browser(width=1280, height=900) as browser:
        browser.open(write_full_page().as_uri())
        browser.wait_for("document.querySelector('.map .area .points path') !== null")
        browser.move(*browser.evaluate(FIRST_POINT))
        assert browser.wait_for("!tip.hidden")
        assert browser.evaluate("tip.querySelector('b').textContent") == nasty
        assert browser.evaluate("tip.querySelector('span').textContent") == nasty
        picture = "tip.querySelector('img')"
        assert browser.wait_for(f"{picture} && {picture}.naturalWidth") == 40
        # The same video is ringed in all panels.
        assert browser.wait_for(f"{RINGS}.every((count) => count === 1)")
        browser.move(3, 3)
        assert browser.wait_for("tip.hidden")
        browser.click(".legend button:nth-of-type(1)")
        browser.move(3, 3)
        assert browser.wait_for(f"{FADED} === 230")
        assert browser.problems == []


NAMES = """[...document.querySelectorAll('#zero-shot tbody tr:not([hidden]) th')].map(
  (name) => name.firstChild.textContent.trim())"""


def test_tables_are_sorted_and_filtered(write_full_page):
    with Browser(width=1280, height=900) as browser:
        browser.open(write_full_page().as_uri())
        printed = browser.evaluate(NAMES)
        head = "#zero-shot thead tr:last-child th:first-child button"
        values = """[...document.querySelectorAll('#zero-shot tbody tr')].map(
          (row) => Number(row.cells[1].dataset.value)).filter((value) => !Number.isNaN(value))"""
        browser.click(head)
        falling = browser.evaluate(values)
        assert falling == sorted(falling, reverse=True)
        assert len(falling) > 4
        browser.click(head)
        assert browser.evaluate(values) == sorted(falling)
        browser.click(head)
        assert browser.evaluate(NAMES) == printed
        browser.click("#zero-shot .filter input")
        browser.type("full")
        left = browser.evaluate(NAMES)
        assert 0 < len(left) < len(printed)
        assert all("full" in name for name in left)
        count = "document.querySelector('#zero-shot .filter output').textContent"
        assert browser.evaluate(count) == f"{len(left)} of {len(printed)}"
        assert browser.problems == []


def test_a_number_leads_to_its_row(write_full_page):
    with Browser(width=1280, height=900) as browser:
        browser.open(write_full_page().as_uri())
        browser.click("#zero-shot td a")
        target = "document.querySelector('tr:target')"
        assert browser.wait_for(f"{target} !== null")
        box = browser.evaluate(f"{target}.getBoundingClientRect().top")
        assert 0 < box < 900
        assert browser.problems == []
