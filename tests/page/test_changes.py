"""Changes made on the page: each is shown before it is made, is refused when it is stale, and is the page's to make."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.stage import Stage
from tests.page.browser import REFUSED
from tests.page.conftest import Open, iris_ab

DETAIL = "#/experiments/iris-ab"
TABS = 30  # more than there are between any two places of these tests


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the focus is on what has this name."""
    for _ in range(TABS):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.ariaLabel || document.activeElement.textContent").strip() == name:
            return
    pytest.fail(f"{name!r} can't be reached by the keyboard")


def last_revision(stage: Stage) -> dict[str, object]:
    found: dict[str, object] = stage.extproc.admin("/api/v1/experiments/iris-ab/history").json["revisions"][-1]
    return found


def test_weights_are_edited_by_the_keyboard_alone(open_page: Open, stage: Stage) -> None:
    page = open_page()
    expect(page.get_by_role("link", name="iris-ab")).to_be_visible()
    tab_to(page, "iris-ab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="iris-ab", level=1)).to_be_focused()
    tab_to(page, "Edit weights")
    page.keyboard.press("Enter")
    expect(page.get_by_role("slider", name="iris", exact=True)).to_be_focused()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("slider", name="iris2", exact=True)).to_have_value("35")
    page.keyboard.press("Enter")
    changes = page.get_by_role("dialog").get_by_role("table", name="What changes")
    expect(changes.get_by_role("row")).to_have_text(["CandidateBeforeAfter", "iris70 65 ", "iris230 35 "])
    assert last_revision(stage)["spec"]["candidates"][0]["weight"] == 70  # type: ignore[index]  # nothing is done yet
    page.keyboard.press("Tab")
    page.keyboard.type("alice")
    page.keyboard.press("Tab")
    page.keyboard.type("it is better")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="Edit weights")).to_be_focused()
    revision = last_revision(stage)
    assert (revision["caller"], revision["why"], revision["action"]) == ("alice", "it is better", "updated")
    assert stage.status("iris-ab")["spec"]["candidates"] == [
        {"name": "iris", "weight": 65},
        {"name": "iris2", "weight": 35},
    ]


def test_a_change_that_somebody_else_made_first_stands(open_page: Open, stage: Stage) -> None:
    page = open_page(DETAIL, besides=REFUSED)
    page.get_by_role("button", name="Edit weights").click()
    page.get_by_label("Weight of iris2").fill("99")
    page.get_by_role("button", name="Review").click()
    stage.put(iris_ab(50, 50), "?wait=false")
    page.get_by_role("button", name="Change weights").click()
    expect(page.get_by_role("alert")).to_contain_text("Not done.")
    expect(page.get_by_role("alert")).to_contain_text("revision")
    expect(page.get_by_text("It was changed meanwhile")).to_be_visible()
    assert [c["weight"] for c in stage.status("iris-ab")["candidates"]] == [50, 50]
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_stop_and_roll_back(open_page: Open, stage: Stage) -> None:
    stage.put(iris_ab(20, 80))
    page = open_page(DETAIL)
    page.get_by_role("button", name="Stop").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("row", name="Requests for iris iris")).to_contain_text("iris 100 %")
    dialog.get_by_label("Why").fill("enough")
    dialog.get_by_role("button", name="Stop the experiment").click()
    expect(page.locator(".title .state")).to_have_text("Stopped")
    assert stage.status("iris-ab")["state"] == "STOPPED"
    number = last_revision(stage)["revision"]
    assert isinstance(number, int)
    page.get_by_role("button", name=f"Roll back to revision {number - 2}").click()
    expect(dialog.get_by_role("row", name="candidates[iris].weight")).to_contain_text("70")
    dialog.get_by_role("button", name="Roll back").click()
    expect(page.locator(".title .state")).to_have_text("Active")
    assert [c["weight"] for c in stage.status("iris-ab")["candidates"]] == [70, 30]


def test_start_from_pasted_yaml(open_page: Open, stage: Stage) -> None:
    page = open_page(besides=REFUSED)
    page.get_by_role("button", name="Start an experiment").click()
    text = page.get_by_label("An Experiment or a Seldon manifest")
    text.fill("name: pasted\ncandidates: [{name: iris3, weight: -1}]")
    review = page.get_by_role("button", name="Review")
    with page.expect_response("**/api/v1/preview") as answer:
        review.click()
    assert answer.value.status == 422
    expect(page.get_by_role("alert")).to_contain_text("candidates[0].weight")
    text.fill("name: pasted\ncandidates: [{name: iris3, weight: 1}, {name: iris2, weight: 3}]")
    review.click()
    row = page.get_by_role("dialog").get_by_role("row", name="candidates[iris2].weight")
    expect(row).to_contain_text("3")
    assert stage.extproc.admin("/api/v1/experiments/pasted").status == 404
    page.get_by_role("button", name="Start pasted").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("pasted")
    assert stage.status("pasted")["state"] == "ACTIVE"
    stage.stop("pasted")


def test_what_a_file_owns_is_changed_there(open_page: Open) -> None:
    page = open_page("#/experiments/filed")
    expect(page.get_by_text("Managed by")).to_contain_text("resources.json")
    expect(page.get_by_role("button", name="Edit weights")).to_have_count(0)


def test_without_admin_write_it_only_looks(open_page: Open) -> None:
    page = open_page(DETAIL)
    expect(page.get_by_role("button", name="Edit weights")).to_be_visible()
    told = "{ version: '1', write: false, jaeger: null }"  # as /api/v1/page tells it (tests/server/test_page.py)
    page.evaluate(f"import('/page/store.js').then((store) => store.become({{ page: {told} }}))")
    expect(page.get_by_text("read-only")).to_be_visible()
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    expect(page.get_by_role("button", name="Copy")).to_be_visible()
    names = [button.inner_text() for button in page.get_by_role("button").all()]
    assert names == ["Copy"]
    expect(page.get_by_role("link", name="Jaeger")).to_have_count(0)


OTHER_SITE = """
    (url) => Promise.allSettled([
      fetch(url, { method: "DELETE" }),
      fetch(url + "/rollback", { method: "POST", mode: "no-cors", body: '{"revision": 1}' }),
      fetch(url.replace("iris-ab", "mallory"), { method: "PUT", body: '{"name": "mallory"}' }),
    ]).then((all) => all.map(({ status }) => status))
"""


def test_another_site_can_change_nothing(browser: Browser, stage: Stage) -> None:
    """Even one of this machine, which a browser lets ask us: no answer, and no effect."""
    before = stage.extproc.admin("/api/v1/experiments/iris-ab/history").json
    with browser.new_page() as page:
        page.goto(f"{stage.iris.url}/other")
        sent = page.evaluate(OTHER_SITE, f"{stage.extproc.admin_url}/api/v1/experiments/iris-ab")
    assert sent == ["rejected"] * 3
    assert stage.extproc.admin("/api/v1/experiments/iris-ab/history").json == before
    assert stage.extproc.admin("/api/v1/experiments/mallory").status == 404
