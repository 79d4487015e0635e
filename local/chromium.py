"""A browser for the tests that look at pages: the Chromium or Chrome of this machine."""

import contextlib
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start it once for a module."""
    with started() as browser:
        yield browser


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[Browser]:
    """Start it with further arguments of its command line, for the length of a `with` block."""
    path = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.fail("No Chromium on PATH: run `make chromium`.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=[*_ARGUMENTS, *arguments],
        )
        yield browser
        browser.close()
