"""The Chromium that the PATH offers, driven by Playwright."""

from __future__ import annotations

import os
import shutil

import pytest
from servers import PATIENCE

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",  # root in a container has no other way
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find():
    """The path of a Chromium; where there is none the test is skipped, or fails if REQUIRE_BROWSER=1."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    message = f"No browser on the PATH (looked for {', '.join(NAMES)})"
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(message)
    pytest.skip(message)


def new_context(browser, **options):
    """A fresh profile, in which every wait of a test has PATIENCE."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE * 1000)  # milliseconds
    return context


def launch(playwright):
    """A headless Chromium."""
    return playwright.chromium.launch(executable_path=find(), args=list(ARGUMENTS), timeout=PATIENCE * 1000)
