"""Hits in a real browser: all of them play, from the moment found on, by mouse and by keys."""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from tests.browser import Browser, needs_browser
from tests.vifi.conftest import save_tiny
from tests.vifistore.frames.conftest import noisy_grey
from vifi.__main__ import run

pytestmark = [pytest.mark.slow, needs_browser]

SECONDS = 12
# What a playing video says of itself.
VIDEO = "(() => {{ const v = document.querySelectorAll('.hit')[{}].querySelector('video'); {} }})()"


def write_film(path: Path, codec: str, pix_fmt: str = "yuv420p") -> None:
    """A film of some seconds whose brightness tells the time, a key frame every 5 s."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 72, pix_fmt
        stream.gop_size = 125
        stream.codec_context.options = {"strict": "unofficial"}
        for number in range(25 * SECONDS):
            image = av.VideoFrame.from_ndarray(noisy_grey(number // 7, (96, 72)), format="rgb24")
            output.mux(stream.encode(image))
        output.mux(stream.encode(None))


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    """A store of films that browsers play and do not; one MP4 has a codec that they lack."""
    folder = tmp_path_factory.mktemp("films")
    for name, codec in {
        "asp.avi": "mpeg4",
        "two.mpg": "mpeg2video",
        "h264.mkv": "libx264",
        "asp.mp4": "mpeg4",
        "h264.mp4": "libx264",
        "cut.avi": "mpeg4",
    }.items():
        write_film(folder / "videos" / name, codec)
    write_film(folder / "videos" / "motion.avi", "mjpeg", "yuvj420p")
    save_tiny(folder / "tiny.safetensors")
    store = str(folder / "s.zarr")
    assert run(["scan", store, str(folder / "videos"), "--dataset", "d"]) == 0
    model = ["--model", "vifi-tiny", "--pretrained", str(folder / "tiny.safetensors")]
    flags = ["--name", "tiny", "--frames", "12", "--device", "cpu", "--precision", "fp32"]
    assert run(["extract", store, "--dataset", "d", *model, *flags, "--workers", "1"]) == 0
    # It ends after six of the twelve seconds that its header and the store tell of.
    cut = folder / "videos/cut.avi"
    os.truncate(cut, cut.stat().st_size // 2)
    return Path(store)


@pytest.fixture(scope="module")
def address(films) -> Iterator[str]:
    """Where the page of the films is."""
    command = [sys.executable, "-m", "vifi", "serve", str(films), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline()).group()
    finally:
        process.terminate()
        process.communicate(timeout=30)


def open_hits(browser: Browser, address: str, **more: str) -> list[str]:
    """Search, and return the files of the hits in the order of their cards."""
    query = "&".join(f"{key}={value}" for key, value in {"q": "grey", **more}.items())
    browser.open(f"{address}/?{query}")
    browser.wait_for("document.body.dataset.hits > 0")
    browser.wait_for(
        "[...document.querySelectorAll('.hit')].every(e => e.querySelector('.strip[role]'))"
    )
    return browser.evaluate(
        "[...document.querySelectorAll('.hit .facts div:nth-child(2)')].map(e => e.innerText)"
    )


def press(browser: Browser, key: str) -> None:
    """Press and let go of a key."""
    named = {" ": "Space", "/": "Slash"}
    text = {"Enter": "\r", " ": " ", "/": "/"}.get(key, "")
    codes = {"Enter": 13, " ": 32, "ArrowRight": 39, "ArrowLeft": 37, "ArrowDown": 40, "Tab": 9}
    about = {"key": key, "code": named.get(key, key), "windowsVirtualKeyCode": codes.get(key, 0)}
    down = "keyDown" if text else "rawKeyDown"
    browser.call("Input.dispatchKeyEvent", type=down, text=text, **about)
    browser.call("Input.dispatchKeyEvent", type="keyUp", **about)


def test_every_hit_plays_and_can_be_sought(address):
    with Browser(width=1400, height=1000) as browser:
        files = open_hits(browser, address)
        assert sorted(files) == [
            *("asp.avi", "asp.mp4", "cut.avi", "h264.mkv", "h264.mp4", "motion.avi", "two.mpg")
        ]
        for number, file in enumerate(files):
            if file == "cut.avi":
                continue
            browser.click(f".hit:nth-child({number + 1}) .play")
            browser.wait_for(VIDEO.format(number, "return v && v.currentTime > 0.2 && !v.paused"))
            size = browser.evaluate(VIDEO.format(number, "return [v.videoWidth, v.duration]"))
            assert size == [96, pytest.approx(SECONDS, abs=0.2)], file
            # What is shown far behind is that moment: seven frames have one of the levels.
            browser.evaluate(VIDEO.format(number, "v.pause(); v.currentTime = 9.2"))
            browser.wait_for(VIDEO.format(number, "return !v.seeking && v.readyState >= 2"))
            brightness = browser.evaluate(
                VIDEO.format(
                    number,
                    "const c = document.createElement('canvas'); c.width = c.height = 1;"
                    "const g = c.getContext('2d'); g.drawImage(v, 0, 0, 1, 1);"
                    "return g.getImageData(0, 0, 1, 1).data[1]",
                )
            )
            assert brightness == pytest.approx(25 + 5 * (230 // 7), abs=20), file
        assert browser.problems == []


def test_what_ends_before_it_should_plays_to_its_end(address):
    with Browser(width=1400, height=1000) as browser:
        files = open_hits(browser, address)
        number = files.index("cut.avi")
        # Behind the end from the start, and once it plays.
        strip = f"document.querySelectorAll('.strip')[{number}]"
        browser.evaluate(f"{strip}.focus()")
        press(browser, "End")
        for _ in range(3):
            press(browser, "ArrowLeft")
        press(browser, "Enter")
        ended = "return v && v.readyState >= 2 && v.currentTime > 3.5 && v.duration < 7"
        browser.wait_for(VIDEO.format(number, ended))
        browser.evaluate(VIDEO.format(number, "v.currentTime = 1"))
        browser.wait_for(VIDEO.format(number, "return v.currentTime > 1.2 && v.currentTime < 4"))
        assert browser.problems == []


def test_a_click_on_the_strip_plays_there(address):
    with Browser(width=1400, height=1000) as browser:
        files = open_hits(browser, address)
        number = files.index("asp.avi")
        browser.click(f".hit:nth-child({number + 1}) .strip")
        browser.wait_for(VIDEO.format(number, "return v && v.currentTime > 6 && !v.paused"))
        assert browser.evaluate(VIDEO.format(number, "return v.currentTime")) < 9
        # One plays at a time.
        browser.click(f".hit:nth-child({(number + 1) % 7 + 1}) .play")
        browser.wait_for(VIDEO.format(number, "return v.paused"))
        assert browser.problems == []


def test_a_moment_plays_to_its_end_and_no_further(address):
    with Browser(width=1400, height=1000) as browser:
        files = open_hits(browser, address, frames="true", k="60")
        number = files.index("motion.avi")
        times = browser.evaluate(
            f"document.querySelectorAll('.hit .faint')[{number}].innerText"
            ".match(/\\d+\\.\\d(?!\\d)/g)"
        )
        start, end = map(float, times)
        browser.click(f".hit:nth-child({number + 1}) .play")
        browser.wait_for(VIDEO.format(number, "return v && v.currentTime > 0 && !v.seeking"))
        assert browser.evaluate(VIDEO.format(number, "return v.currentTime")) >= start - 0.1
        browser.evaluate(VIDEO.format(number, f"v.currentTime = Math.max({start}, {end} - 0.4)"))
        browser.wait_for(VIDEO.format(number, "return v.paused"))
        assert browser.evaluate(VIDEO.format(number, "return v.currentTime")) == pytest.approx(
            end, abs=0.5
        )


def test_all_by_keys(address):
    focus = "document.activeElement.getAttribute('aria-label')"
    with Browser(width=1400, height=1000, dark=True) as browser:
        files = open_hits(browser, address)
        browser.evaluate("document.querySelector('.play').focus()")
        press(browser, "ArrowRight")
        assert browser.evaluate(focus) == f"Play {files[1]}"
        press(browser, "ArrowLeft")
        press(browser, "Tab")
        slider = "document.activeElement.getAttribute('aria-valuetext')"
        before = browser.evaluate(slider)
        assert re.fullmatch(r"0:\d\d\.\d, score -?0\.\d{3}", before)
        press(browser, "Home")
        for _ in range(50):
            press(browser, "ArrowRight")
        assert browser.evaluate(slider).startswith("0:06.0")
        press(browser, "Enter")
        browser.wait_for(VIDEO.format(0, "return v && v.currentTime > 6 && !v.paused"))
        # The browser's own keys work on what plays.
        assert browser.evaluate("document.activeElement.tagName") == "VIDEO"
        press(browser, " ")
        browser.wait_for(VIDEO.format(0, "return v.paused"))
        press(browser, "/")
        assert browser.evaluate("document.activeElement.id") == "words"
        assert browser.problems == []


def test_a_picture_that_is_chosen_and_one_that_is_pasted(address, films):
    with av.open(str(films.parent / "videos/asp.avi")) as container:
        picture = films.parent / "grey.png"
        next(container.decode(video=0)).to_image().save(picture)
    with Browser(width=1400, height=1000) as browser:
        open_hits(browser, address)
        root = browser.call("DOM.getDocument")["root"]["nodeId"]
        found = browser.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
        browser.call("DOM.setFileInputFiles", files=[str(picture)], nodeId=found)
        browser.wait_for("document.getElementById('said').innerText.includes('the picture')")
        assert browser.evaluate("document.querySelectorAll('.hit').length") == 7
        assert browser.evaluate("document.querySelector('#sent img').naturalWidth") == 96
        browser.click("#sent button")
        browser.wait_for("!document.body.dataset.hits")
        assert browser.evaluate("document.getElementById('sent').hidden")
        content = base64.b64encode(picture.read_bytes()).decode()
        browser.evaluate(
            f"(() => {{ const b = Uint8Array.from(atob('{content}'), c => c.charCodeAt(0));"
            "const t = new DataTransfer();"
            "t.items.add(new File([b], 'a.png', {type: 'image/png'}));"
            "dispatchEvent(new ClipboardEvent('paste', {clipboardData: t})); })()"
        )
        browser.wait_for("document.getElementById('said').innerText.includes('the picture')")
        assert (
            json.loads(
                browser.evaluate(
                    "fetch(document.querySelector('[data-ending=json]').href).then(r => r.text())"
                )
            )["query"]
            == "a picture"
        )


def test_what_joins_and_narrows_is_in_the_address(address):
    with Browser(width=1400, height=1000) as browser:
        open_hits(browser, address)
        browser.click("#more summary")
        browser.click("#also")
        browser.type("dark")
        browser.click("#longest")
        browser.type("11.5")
        press(browser, "Tab")
        browser.wait_for("location.search.includes('longest=11.5')")
        assert "also=dark" in browser.evaluate("location.search")
        browser.wait_for("document.querySelectorAll('.hit').length < 7")
        browser.open(browser.evaluate("location.href"))
        browser.wait_for("document.body.dataset.hits")
        assert browser.evaluate("[document.getElementById('more').open, also.value]") == [
            True,
            "dark",
        ]
        assert browser.problems == []


@pytest.mark.parametrize(("width", "dark"), [(400, True), (1200, False), (3840, True)])
def test_nothing_is_wider_than_the_screen(address, width, dark):
    with Browser(width=width, height=900, dark=dark) as browser:
        browser.open(f"{address}/?q=grey&frames=true")
        browser.wait_for("document.querySelectorAll('.strip[role]').length > 0")
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        back = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        assert back == ("rgb(22, 24, 28)" if dark else "rgb(255, 255, 255)")
        assert browser.problems == []
