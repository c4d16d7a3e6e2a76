"""`python -m tests.page.screenshot`: the pictures of the page in docs/, of a real extproc and Envoy under real traffic.

The models are stubs that answer as fast, and fail as often, as those of a busy service might.
"""

import argparse
import random
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Browser, expect

from tests.e2e.stage import Stage, experiment
from tests.harness.load import Load
from tests.harness.models import ModelServer
from tests.page.browser import launched
from tests.page.conftest import iris_ab

Scheme = Literal["light", "dark"]

# Name, what is open, and the height in px.
PICTURES: Final[tuple[tuple[str, str, Scheme, int], ...]] = (
    ("page", "#/experiments/iris-ab", "light", 1170),
    ("page-dark", "#/experiments/iris-ab", "dark", 1170),
    ("page-list", "", "light", 730),
)
DOCS: Final = Path(__file__).parents[2] / "docs"
PER_SECOND: Final = 40.0
WEIGHTS: Final = ((90, 10, "is iris2 better?"), (80, 20, "no errors so far"), (70, 30, "as fast as hoped for"))
TYPICAL: Final = {"iris": 0.042, "iris2": 0.064, "iris3": 0.096}  # seconds; what this machine does beside hardly shows
WIDTH: Final = 1200  # px; the pictures have twice as many


@contextmanager
def busy(models: dict[str, ModelServer]) -> Iterator[None]:
    """Let the models take a little longer, or less long, every now and then, and fail once in a while."""
    over = threading.Event()
    chance = random.Random(7)

    def live() -> None:
        while not over.wait(0.03):
            name = chance.choice(list(models))
            models[name].delay(TYPICAL[name] * chance.lognormvariate(0, 0.28))
            models["iris2"].fail(503 if chance.random() < 0.01 else 200)

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def sticky(number: int) -> dict[str, str]:
    """One request in twelve comes back with the token of its last answer."""
    return {"x-seldon-route": ":iris2_2:" if number % 24 else ":iris_1:"} if number % 12 == 0 else {}


def pictures(browser: Browser, url: str) -> None:
    for name, where, scheme, height in PICTURES:
        context = browser.new_context(
            viewport={"width": WIDTH, "height": height}, color_scheme=scheme, device_scale_factor=2, locale="en-GB"
        )
        page = context.new_page()
        page.goto(f"{url}/{where}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        if where:
            expect(page.get_by_role("img", name="Requests/s: iris now")).to_be_visible()
            page.get_by_text("5 min", exact=True).click()
        rates = page.get_by_role("table", name="Candidates of iris-ab").locator("td[data-head='Requests/s']")
        expect(rates.last).to_have_text(re.compile(r"[1-9]"))  # it takes a few seconds of counts
        page.screenshot(path=DOCS / f"{name}.png")
        context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=270, help="how long there is traffic before")
    seconds = parser.parse_args().seconds
    DOCS.mkdir(exist_ok=True)
    stage = Stage(Path(tempfile.mkdtemp()))
    try:
        stage.write(experiment("ranking", {"iris3": 1, "iris2": 1}))
        stage.start("up", "--admin-write", "--jaeger-url", "http://localhost:16686")
        models = {"iris": stage.iris, "iris2": stage.iris2, "iris3": stage.iris3}
        url = f"{stage.extproc.inference_url}/v2/models/iris/infer"
        ranked = {"seldon-model": "ranking.experiment"}
        with busy(models), Load(url, rate=PER_SECOND, vary=sticky), Load(url, rate=PER_SECOND / 4, headers=ranked):
            for *weights, why in WEIGHTS:
                stage.put(iris_ab(*weights), f"?caller=alice&why={why.replace(' ', '%20')}")
                time.sleep(seconds / len(WEIGHTS))
            with launched() as browser:
                pictures(browser, stage.extproc.admin_url)
    finally:
        stage.close()


if __name__ == "__main__":
    main()
