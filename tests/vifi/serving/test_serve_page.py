"""The page in a real browser: typed queries, playing hits, more like this, and the map."""

import re
import signal
import subprocess
import sys

import pytest

from tests.browser import Browser, needs_browser
from vifi.__main__ import run
from vifi.verbs.serve import listen
from vifistore.errors import UsageError


@pytest.fixture(scope="module")
def address(searchable):
    """Where `vifi serve` says that its page is; stopped as a user stops it."""
    command = [sys.executable, "-m", "vifi", "serve", str(searchable), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline()).group()
    finally:
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
    assert error == ""
    assert process.returncode == 0


def hits(browser) -> list[str]:
    """What the cards of the hits say."""
    script = "[...document.querySelectorAll('.hit .facts')].map(e => e.innerText)"
    return browser.evaluate(script)


@pytest.mark.slow
@needs_browser
def test_a_visit(address):
    with Browser(width=1200, height=900) as browser:
        browser.open(address)
        browser.wait_for("document.body.dataset.ready")
        browser.click("#words")
        browser.type("a red run")
        browser.click("button[type=submit]")
        browser.wait_for("document.body.dataset.hits === '10'")
        assert browser.evaluate("location.search").startswith("?q=a+red+run")
        assert len(hits(browser)) == 10
        assert browser.evaluate("document.querySelectorAll('.note').length") == 0
        browser.click(".play")
        browser.wait_for("document.querySelector('video').currentTime > 0")
        first = browser.evaluate("document.querySelector('.hit .facts div:nth-child(2)').innerText")
        browser.click(".hit .facts button")
        browser.wait_for("document.body.dataset.hits === '9'")
        assert all(first not in text for text in hits(browser))
        browser.click("#map summary")
        browser.wait_for("document.querySelectorAll('#plot .points path').length >= 10")
        browser.evaluate("history.back()")
        browser.wait_for("document.body.dataset.hits === '10'")
        assert browser.problems == []


@pytest.mark.slow
@needs_browser
def test_a_narrow_dark_screen_with_an_address_that_asks(address):
    with Browser(width=400, height=800, dark=True) as browser:
        browser.open(f"{address}/?q=a%20jump&label=blue%20jump&frames=true&k=6")
        browser.wait_for("document.body.dataset.hits")
        assert all("blue jump" in text for text in hits(browser))
        assert browser.evaluate("document.getElementById('frames').checked")
        # Nothing is wider than the screen.
        assert browser.evaluate("document.documentElement.scrollWidth") <= 400
        browser.click("#map summary")
        browser.wait_for("document.querySelectorAll('#plot .points path').length >= 10")
        assert browser.evaluate("document.documentElement.scrollWidth") <= 400
        # What a store or a user writes is text, never markup.
        browser.open(f"{address}/?q=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
        browser.wait_for("document.body.dataset.hits")
        assert browser.evaluate("document.querySelectorAll('#said img').length") == 0
        assert "<img" in browser.evaluate("document.getElementById('said').innerText")
        assert browser.problems == []


@pytest.mark.slow
@needs_browser
def test_going_back_undoes_a_filter_and_all_queries_are_remembered(address):
    with Browser(width=1200, height=900) as browser:
        browser.open(f"{address}/?q=12")
        browser.wait_for("document.body.dataset.hits === '10'")
        choose = "(() => {{ const e = document.getElementById('label'); e.value = '{}';"
        choose += " e.dispatchEvent(new Event('change')); }})()"
        browser.evaluate(choose.format("red run"))
        browser.wait_for("document.body.dataset.hits === '4'")
        assert browser.evaluate("location.search") == "?q=12&features=tiny&label=red+run"
        browser.evaluate("history.back()")
        browser.wait_for("document.body.dataset.hits === '10'")
        assert browser.evaluate("document.getElementById('label').value") == ""
        # The first video has the number 0.
        browser.open(f"{address}/?of=d&row=0&id=x")
        browser.wait_for("document.body.dataset.hits === '9'")
        assert "row=0" in browser.evaluate("location.search")
        browser.evaluate(choose.format("blue jump"))
        browser.wait_for("['4', '5'].includes(document.body.dataset.hits)")
        assert browser.problems == []


def test_a_taken_port_is_said():
    with listen(0) as first, pytest.raises(UsageError, match="give another --port"):
        listen(first.getsockname()[1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--port", "70000"), "--port is 70000"),
        (("--features", "nope"), "unknown feature set"),
        (("--results", "nowhere"), "there is no results folder at nowhere"),
    ],
)
def test_wrong_calls_end_in_one_line(searchable, capsys, arguments, words):
    assert run(["serve", str(searchable), *arguments]) == 2
    assert words in capsys.readouterr().err.strip().splitlines()[-1]
