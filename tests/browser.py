"""A headless Chromium that opens a file and tells over its DevTools protocol what it saw."""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-sync",
    "--disable-component-update",
    "--remote-debugging-port=0",
)


def chromium() -> str | None:
    """Return the browser's program, if there is one."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Page:
    """One tab: what it logged, what it asked for, and its scripts' answers."""

    def __init__(self, address: str) -> None:
        split = urlsplit(address)
        self._socket = socket.create_connection((split.hostname or "", split.port or 0), 30)
        self._number = 0
        self.events: list[dict[str, Any]] = []
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {split.path} HTTP/1.1\r\nHost: {split.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._file = self._socket.makefile("rb")
        head = b"".join(iter(self._file.readline, b"\r\n"))
        accepted = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode())  # noqa: S324 (RFC 6455)
        assert base64.b64encode(accepted.digest()) in head, head

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send a command and return its result; what comes before it is kept as events."""
        self._number += 1
        text = json.dumps({"id": self._number, "method": method, "params": parameters}).encode()
        mask = os.urandom(4)
        size = len(text)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(text))
        self._socket.sendall(b"\x81" + length + mask + masked)
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def value(self, expression: str) -> Any:  # noqa: ANN401 (whatever the script gives)
        """Return what a script in the page evaluates to."""
        answer = self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, path: Path) -> None:
        """Load a file and wait until its pictures are decoded."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        self.ask("Page.navigate", url=path.as_uri())
        deadline = time.monotonic() + 30
        while self.value("location.href + document.readyState") != path.as_uri() + "complete":
            assert time.monotonic() < deadline, "the page does not load"
            time.sleep(0.05)

    def requested(self) -> list[str]:
        """Return the addresses that the page asked for, other than data in itself."""
        urls = [
            e["params"]["request"]["url"]
            for e in self.events
            if e["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith("data:")]

    def complaints(self) -> list[dict[str, Any]]:
        """Return what the console, the log and uncaught errors told."""
        told = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        dialogs = ("Page.javascriptDialogOpening",)
        return [event for event in self.events if event["method"] in told + dialogs]

    def _receive(self) -> dict[str, Any]:
        text = b""
        final = False
        while not final:
            first, second = self._file.read(2)
            final, size = bool(first & 0x80), second & 0x7F
            if size >= 126:
                size = int.from_bytes(self._file.read(2 if size == 126 else 8), "big")
            text += self._file.read(size)
        answer: dict[str, Any] = json.loads(text)
        return answer


@contextlib.contextmanager
def open_page(path: Path, *, width_px: int = 1200, dark: bool = False) -> Iterator[Page]:
    """Open ``path`` in a browser of its own for the length of the block."""
    program = chromium()
    assert program is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with Page(_address(Path(profile), process)) as page:
                page.ask(
                    "Emulation.setDeviceMetricsOverride",
                    width=width_px,
                    height=900,
                    deviceScaleFactor=1,
                    mobile=False,
                )
                scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
                page.ask("Emulation.setEmulatedMedia", features=[scheme])
                page.open(path)
                yield page
        finally:
            process.terminate()
            process.wait(30)


def _address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    """Return the web socket of the browser's first tab."""
    file = profile / "DevToolsActivePort"
    deadline = time.monotonic() + 60
    while not (file.exists() and file.read_text().count("\n")):
        assert process.poll() is None, "the browser ended"
        assert time.monotonic() < deadline, "the browser does not start"
        time.sleep(0.05)
    port = int(file.read_text().split()[0])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        while True:
            connection.request("GET", "/json")
            tabs = json.loads(connection.getresponse().read())
            for tab in tabs:
                if tab["type"] == "page":
                    return str(tab["webSocketDebuggerUrl"])
            assert time.monotonic() < deadline, "the browser opens no tab"
            time.sleep(0.05)
