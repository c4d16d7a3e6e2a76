"""A headless Chromium, and one page of it that notices what must not happen: errors, and requests to anywhere else."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE: Final = 20_000  # ms for anything that is waited for
# What Chromium itself writes to the console where the server is away, or says no; that is no error of the page.
AWAY: Final = r"net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|INCOMPLETE_CHUNKED_ENCODING|EMPTY_RESPONSE)"
REFUSED: Final = r"the server responded with a status of (409|412|422)"


def chromium_binary() -> str:
    """The browser's path, "" without one."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("CHROMIUM_BIN") or next(filter(None, map(shutil.which, names)), "")


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser, ended with the block."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_binary(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def watched(
    browser: Browser,
    url: str,
    *,
    width: int = 1200,
    scheme: Literal["light", "dark"] = "light",
    besides: str = "",
) -> Iterator[Page]:
    """A page of its own at `url`. Raises AssertionError at the end of the block when it had an error, or asked any
    other host than the one of `url` for anything. Messages that match `besides` are no errors.
    """
    wrong: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not (besides and re.search(besides, message.text)):
            wrong.append(f"console {message.type}: {message.text} {message.location}")

    def asked(request: Request) -> None:
        if not request.url.startswith((f"{url}/", "data:")):
            wrong.append(f"asked {request.url}")

    context = browser.new_context(base_url=url, viewport={"width": width, "height": 900}, color_scheme=scheme)
    try:
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("console", said)
        page.on("pageerror", lambda error: wrong.append(f"error: {error} {error.stack}"))
        page.on("request", asked)
        yield page
        assert not wrong, "\n".join(wrong)
    finally:
        context.close()
