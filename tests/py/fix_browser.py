"""Open a page in headless Chromium and see what it asks for and complains about."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from fix_npm import missing

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True, slots=True)
class Seen:
    """The DOM after loading, console messages and the requests that left the page."""

    dom: str
    console: tuple[str, ...]
    requests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Browser:
    """Opens local files; everything else meets a proxy that notes it and answers nothing."""

    binary: str
    home: Path

    def open(self, page: Path) -> Seen:
        """Load a page and return what was seen."""
        asked: list[str] = []
        with socket.create_server(("127.0.0.1", 0)) as proxy:
            thread = threading.Thread(target=_note, args=(proxy, asked), daemon=True)
            thread.start()
            done = subprocess.run(
                [
                    self.binary, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
                    "--no-first-run", "--disable-background-networking", "--disable-sync",
                    "--disable-component-update", "--disable-dev-shm-usage",
                    f"--user-data-dir={self.home}", "--enable-logging=stderr",
                    f"--proxy-server=127.0.0.1:{proxy.getsockname()[1]}",
                    "--proxy-bypass-list=<-loopback>", "--virtual-time-budget=2000",
                    "--dump-dom", page.as_uri(),
                ],
                capture_output=True, text=True, timeout=90, check=True,
            )  # fmt: skip
        thread.join(5)
        # Only what a page can cause: the browser's own services are not the page's.
        ours = tuple(a for a in asked if ".test" in a)
        return Seen(done.stdout, tuple(re.findall(r"CONSOLE.*", done.stderr)), ours)


def _note(proxy: socket.socket, asked: list[str]) -> None:
    while True:
        try:
            peer, _ = proxy.accept()
        except OSError:
            return
        with peer:
            peer.settimeout(2)
            try:
                asked.append(peer.recv(4096).decode("latin-1").split("\r\n")[0])
            except OSError:
                asked.append("?")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """Headless Chromium. Its absence fails the run in CI and skips elsewhere."""
    binary = next(filter(None, map(shutil.which, _NAMES)), None)
    if binary is None:
        missing("no Chromium: install the package chromium")
    return Browser(binary, tmp_path_factory.mktemp("chromium"))
