"""The page for everyone: what axe-core finds, in light, in dark and on 400 px, with and without an open dialog."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.page.conftest import Open

SERIOUS = {"serious", "critical"}
NARROW = 400  # px

# All that can be on screen at once: numbers, a mismatch, problems, a state of each kind, a timeline.
FULL = """
async () => {
  const { become, now } = await import("/page/store.js");
  const near = (value) => ({ value, low: value * 0.9, high: value * 1.1 });
  const outcomes = {
    byOutcome: { weighted: 900, sticky: 90, fallback: 10 }, byCode: { "2xx": 980, "5xx": 20 }, flags: { UF: 20 },
    errors: { count: 20, rate: 0.02, low: 0.01, high: 0.03 },
    latency: { p50: near(0.003), p90: near(0.006), p99: near(0.012) },
  };
  const iris = now().experiments.find(({ name }) => name === "iris-ab");
  const full = {
    ...iris,
    candidates: iris.candidates.map((one) => ({ ...one, requests: 1000, outcomes })),
    mirror: { ...iris.mirror, requests: 100, outcomes, ready: false },
    split: {
      requests: 1800, observed: { iris: 0.6, iris2: 0.4 }, expected: { iris: 0.7, iris2: 0.3 }, chiSquared: 90,
      pValue: 1e-9, mismatch: true,
    },
    problems: [{ path: "candidates[0].weight", message: "must be a whole number" }],
  };
  const others = ["PENDING", "DEGRADED", "STOPPED", "REJECTED"].map((state) => ({
    ...iris, name: state.toLowerCase(), state, candidates: state === "STOPPED" ? [] : iris.candidates,
  }));
  const points = Array.from({ length: 60 }, (_, i) => ({
    at: new Date(Date.now() - (60 - i) * 5000).toISOString(),
    candidates: { iris: { requests: i, errors: 1, p50: 0.003, p99: 0.01 }, iris2: { requests: 9 } },
    mirror: null,
  }));
  become({
    experiments: [full, ...others],
    problems: [{ source: "a.json", kind: "Model", name: "x", kept: false, problems: full.problems }],
    timeline: { name: "iris-ab", step: 5, points, failed: "" },
  });
}
"""


def serious(page: Page, *rules: str, within: str = "html") -> list[str]:
    """What axe-core calls serious or critical, with the elements; by all rules, or only these."""
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = rules
    found: list[dict[str, Any]] = Axe().run(page, context=within, options=options).response["violations"]
    return [
        f"{violation['id']}: {violation['help']}: {node['html']} {node['failureSummary']}"
        for violation in found
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
    ]


def check(page: Page, what: str, within: str = "html") -> None:
    """What is shown now, as it is, in the dark, and on a narrow screen, which may not be scrolled sideways."""
    page.emulate_media(reduced_motion="reduce")  # nothing is judged halfway between two colours
    assert serious(page, within=within) == [], what
    page.emulate_media(color_scheme="dark")
    assert serious(page, "color-contrast", within=within) == [], f"{what}, dark"
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": NARROW, "height": 900})
    assert serious(page, within=within) == [], f"{what}, narrow"
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow == 0, f"{what} is {overflow} px too wide"
    page.set_viewport_size({"width": 1200, "height": 900})


def test_the_list(open_page: Open) -> None:
    page = open_page()
    expect(page.get_by_role("article", name="iris-ab")).to_be_visible()
    page.evaluate(FULL)
    expect(page.get_by_role("article", name="iris-ab").get_by_text("Sample ratio mismatch")).to_be_visible()
    check(page, "the list")


def test_an_experiment(open_page: Open) -> None:
    page = open_page("#/experiments/iris-ab")
    expect(page.get_by_role("group", name="Revisions")).to_be_visible()
    page.evaluate(FULL)
    expect(page.get_by_role("img", name="Requests/s: iris now")).to_be_visible()
    check(page, "an experiment")


def test_the_dialogs(open_page: Open) -> None:
    page = open_page("#/experiments/iris-ab")
    page.get_by_role("button", name="Edit weights").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    check(page, "the sliders", "dialog")
    page.get_by_role("slider", name="iris2").press("ArrowRight")
    page.get_by_role("button", name="Review").click()
    check(page, "the change before it is made", "dialog")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Start an experiment").click()
    check(page, "where one is pasted", "dialog")


def test_what_is_broken_is_found(open_page: Open) -> None:
    page = open_page()
    expect(page.get_by_role("article", name="iris-ab")).to_be_visible()
    page.evaluate("document.querySelector('main').innerHTML = '<img src=\"page/icon.svg\"><button></button>'")
    assert {found.split(":")[0] for found in serious(page)} == {"image-alt", "button-name"}


def test_those_who_want_no_motion_get_none(open_page: Open) -> None:
    page = open_page()
    button = page.get_by_role("button", name="Start an experiment")
    moving = "element => getComputedStyle(element).transitionDuration"
    assert button.evaluate(moving) != "0s"
    page.emulate_media(reduced_motion="reduce")
    assert button.evaluate(moving) == "0s"
