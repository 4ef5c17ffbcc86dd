"""Headless Chromium, driven over its DevTools socket: open a page, look, click, type.

with Browser(width=1280, height=900) as browser:
    browser.open(path.as_uri())
    assert browser.problems == []
    browser.move(200, 300)
    assert browser.evaluate("document.title") == "..."
"""

import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import websocket

TIMEOUT_SECONDS = 60
PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
needs_browser = pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed")

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--remote-debugging-port=0", "--remote-allow-origins=*"),
)


class Browser:
    """One tab of a headless Chromium of its own.

    `problems` collects what a developer would see in red: exceptions, console errors and failed
    loads, one line each.
    """

    def __init__(self, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        self.problems: list[str] = []
        self._size = (width, height)
        self._dark = dark
        self._numbers = itertools.count(1)

    def __enter__(self) -> "Browser":
        self._home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [PROGRAM, *_FLAGS, f"--user-data-dir={self._home.name}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._socket = websocket.create_connection(self._tab_address(), timeout=TIMEOUT_SECONDS)
        width, height = self._size
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if self._dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()
        self._home.cleanup()

    def _tab_address(self) -> str:
        """Wait for Chromium to say its port, then make a tab and return its socket address."""
        port_file = Path(self._home.name) / "DevToolsActivePort"
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not (port_file.exists() and len(port_file.read_text().splitlines()) == 2):
            assert self._process.poll() is None, "chromium ended at its start"
            assert time.monotonic() < deadline, "chromium did not open its DevTools port"
            time.sleep(0.05)
        port, path = port_file.read_text().splitlines()
        address = f"ws://127.0.0.1:{port}{path}"
        root = websocket.create_connection(address, timeout=TIMEOUT_SECONDS)
        request = {"id": 0, "method": "Target.createTarget", "params": {"url": "about:blank"}}
        root.send(json.dumps(request))
        answer = json.loads(root.recv())
        while answer.get("id") != 0:
            answer = json.loads(root.recv())
        root.close()
        return f"ws://127.0.0.1:{port}/devtools/page/{answer['result']['targetId']}"

    def call(self, method: str, **parameters: object) -> dict:
        """Call a DevTools method and return its result, noting problems on the way."""
        number = next(self._numbers)
        request = {"id": number, "method": method, "params": parameters}
        self._socket.send(json.dumps(request))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self._note(message)

    def _note(self, message: dict) -> None:
        parameters = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                details = parameters["exceptionDetails"]
                text = details.get("exception", {}).get("description", details["text"])
                self.problems.append(f"exception: {text}")
            case "Runtime.consoleAPICalled" if parameters["type"] == "error":
                self.problems.append(f"console: {parameters['args']}")
            case "Log.entryAdded" if parameters["entry"]["level"] == "error":
                entry = parameters["entry"]
                self.problems.append(f"log: {entry['text']} {entry.get('url', '')}")

    def open(self, url: str) -> None:
        """Open an address and wait until the page and all that it loads are there."""
        self.call("Page.navigate", url=url)
        self.wait_for("location.href !== 'about:blank' && document.readyState === 'complete'")

    def evaluate(self, script: str) -> object:
        """Return the value of a JavaScript expression, a promise's once it is settled."""
        result = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, script: str) -> object:
        """Wait until a JavaScript expression is true and return its value."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not (value := self.evaluate(script)):
            assert time.monotonic() < deadline, f"never true: {script}; {self.problems}"
            time.sleep(0.05)
        return value

    def centre_of(self, selector: str) -> tuple[float, float]:
        """Scroll an element into view and return its centre [x, y] in CSS pixels."""
        quoted = json.dumps(selector)
        return tuple(
            self.evaluate(
                f"(() => {{ const e = document.querySelector({quoted});"
                " e.scrollIntoView({block: 'center', behavior: 'instant'});"
                " const r = e.getBoundingClientRect();"
                " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
            )
        )

    def move(self, x: float, y: float) -> None:
        """Move the pointer to a place of the window."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, selector: str) -> None:
        """Click the centre of an element."""
        x, y = self.centre_of(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.call("Input.insertText", text=text)

    def screenshot(self, path: Path) -> None:
        """Write the whole page as a PNG file."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))
