"""The browser that other tests look through: it sees errors, moves, clicks and types."""

from tests.browser import Browser, needs_browser

PAGE = """<!doctype html><title>page</title>
<button onmousemove="this.dataset.seen = 1" onclick="document.title = 'clicked'">push</button>
<input onfocus="document.title = 'typing'"><p>{}</p>"""


@needs_browser
def test_moves_clicks_types_and_draws(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(PAGE)
    with Browser(width=400, height=300, dark=True) as browser:
        browser.open(page.as_uri())
        browser.move(*browser.centre_of("button"))
        assert browser.evaluate("document.querySelector('button').dataset.seen") == "1"
        browser.click("button")
        assert browser.evaluate("document.title") == "clicked"
        browser.click("input")
        browser.type("a circle")
        assert browser.evaluate("document.querySelector('input').value") == "a circle"
        assert browser.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        assert browser.evaluate("innerWidth") == 400
        browser.screenshot(tmp_path / "page.png")
        assert browser.problems == []
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


@needs_browser
def test_notes_errors_of_the_page(tmp_path):
    page = tmp_path / "broken.html"
    page.write_text("<script>undefined_name()</script><img src='gone.png'>")
    with Browser() as browser:
        browser.open(page.as_uri())
        browser.evaluate("console.error('told')")
        text = "\n".join(browser.problems)
    assert "undefined_name" in text
    assert "gone.png" in text
    assert "told" in text
