"""What the page shows: every experiment, live, through restarts, and whatever the API may say."""

import re
import time

from playwright.sync_api import Page, expect

from tests.e2e.stage import Stage
from tests.harness.load import run_load
from tests.page.browser import AWAY
from tests.page.conftest import Open, iris_ab

DETAIL = "#/experiments/iris-ab"


def configured(page: Page) -> str:
    """The second cell of each row of candidates."""
    cells = page.get_by_role("table", name="Candidates of iris-ab").locator("td[data-head=Configured]")
    return ", ".join(text.replace("\u00a0", " ") for text in cells.all_inner_texts())


def test_every_experiment_is_listed(open_page: Open) -> None:
    page = open_page()
    expect(page.get_by_role("heading", level=1)).to_have_text("Experiments")
    for name in ("filed", "iris-ab"):
        card = page.get_by_role("article", name=name)
        expect(card.get_by_text("Active")).to_be_visible()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    assert configured(page) == "70 %, 30 %, 10 %"
    table = page.get_by_role("table", name="Candidates of iris-ab")
    expect(table.get_by_role("rowheader")).to_have_text(["iris ready default", "iris2 ready", "iris3 ready mirror"])


def test_a_changed_weight_is_seen_within_a_second(open_page: Open, stage: Stage) -> None:
    page = open_page()
    expect(page.get_by_role("article", name="iris-ab")).to_be_visible()
    shown = page.get_by_role("table", name="Candidates of iris-ab").locator("td[data-head=Configured]").first
    took = []
    for weight in (60, 50, 40):
        stage.put(iris_ab(weight, 100 - weight), "?wait=false")
        changed = time.monotonic()
        expect(shown).to_have_text(f"{weight}\u00a0%")
        took.append(time.monotonic() - changed)
    assert min(took) < 1, took  # the machine may be busy with other things as well
    expect(page.get_by_role("status")).to_have_text("iris-ab is now split iris 40, iris2 60.")


def test_a_link_opens_an_experiment_with_all_there_is_to_it(open_page: Open) -> None:
    page = open_page(DETAIL)
    expect(page.get_by_role("heading", level=1)).to_have_text("iris-ab")
    expect(page).to_have_title("iris-ab · extproc")
    assert configured(page) == "70 %, 30 %, 10 %"
    history = page.get_by_role("group", name="Revisions").get_by_role("row")
    expect(history.nth(1)).to_contain_text("current")
    expect(page.get_by_role("region", name="Events").get_by_role("listitem").first).to_contain_text("ago")
    expect(page.get_by_role("region", name="Specification")).to_contain_text('"percent": 10')
    link = page.get_by_role("link", name="Traces of iris2 in Jaeger").get_attribute("href")
    assert link is not None
    assert link.startswith("http://jaeger.example:16686/search?service=extproc-envoy&")
    assert "%22experiment.name%22%3A%22iris-ab%22" in link
    page.get_by_role("link", name="Experiments").click()
    expect(page.get_by_role("link", name="iris-ab")).to_be_focused()


def test_traffic_is_counted_and_drawn(open_page: Open, stage: Stage) -> None:
    page = open_page(DETAIL)
    expect(page.get_by_role("heading", level=1)).to_have_text("iris-ab")
    sent = run_load(f"{stage.extproc.inference_url}/v2/models/iris/infer", 300)
    assert sent.failed == 0
    rows = page.get_by_role("table", name="Candidates of iris-ab")
    for place, route in enumerate((":iris_1:", ":iris2_2:")):
        expect(rows.locator("td[data-head=Requests]").nth(place)).to_have_text(str(sent.by_route[route]))
    expect(rows.locator("td[data-head=p99]").first).to_have_text(re.compile(r"\d.*s"))
    expect(page.get_by_text("over 300 fresh assignments")).to_be_visible()
    answers = page.get_by_role("region", name="Answers").get_by_role("row", name="2xx")
    expect(answers.get_by_role("cell").first).to_have_text(str(sent.by_route[":iris_1:"]))
    expect(page.get_by_role("img", name="Requests/s: iris now")).to_be_visible()


def test_the_holdout_and_each_mirror_have_a_row_a_line_and_a_column(open_page: Open, stage: Stage) -> None:
    copies = [{"name": "iris3", "percent": 50}, {"name": "filed", "percent": 1}]
    held = {key: value for key, value in iris_ab(70, 30, holdout=40).items() if key != "mirror"}
    stage.put({**held, "mirrors": copies})
    page = open_page(DETAIL)
    table = page.get_by_role("table", name="Candidates of iris-ab")
    expect(table.get_by_role("rowheader").nth(2)).to_have_text("iris holdout")
    expect(table.get_by_role("rowheader").nth(3)).to_contain_text("iris3 ready mirror")
    expect(table.get_by_role("rowheader").nth(4)).to_contain_text("filed not ready mirror")
    assert configured(page) == "70 %, 30 %, 40 %, 50 %, 1 %"
    assert run_load(f"{stage.extproc.inference_url}/v2/models/iris/infer", 200).failed == 0
    requests = table.locator("td[data-head=Requests]")
    expect(requests.nth(2)).to_have_text(re.compile(r"[1-9]\d*"))
    reasons = page.get_by_role("region", name="Why requests went there")
    row = reasons.get_by_role("row", name="held out, to be compared with")
    expect(row.get_by_role("cell")).to_have_text(["0", "0", requests.nth(2).inner_text()])
    expect(page.get_by_role("img", name="iris (holdout) now").first).to_be_visible()
    link = page.get_by_role("link", name="Traces of iris holdout in Jaeger").get_attribute("href")
    assert link is not None
    assert "%22experiment.reason%22%3A%22holdout%22" in link


def test_a_link_to_nothing_says_so(open_page: Open) -> None:
    page = open_page("#/experiments/rose%20bed")
    expect(page.get_by_role("heading", level=1)).to_have_text("rose bed")
    expect(page.get_by_text("No experiment has this name")).to_be_visible()


def test_it_survives_a_restart(open_page: Open, stage: Stage) -> None:
    page = open_page(DETAIL, besides=AWAY)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    stage.extproc.kill()
    expect(page.get_by_text("Connection to extproc lost.", exact=True)).to_be_visible()
    expect(page.get_by_text("Reconnecting", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("iris-ab")
    stage.extproc.restart()
    stage.extproc.wait_ready()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(page.get_by_text("Connection to extproc lost.", exact=True)).to_be_hidden()
    stage.put(iris_ab(10, 90))
    expect(page.get_by_text("90\u00a0%", exact=True)).to_be_visible()


def test_a_problem_of_a_resource_is_shown(open_page: Open, stage: Stage) -> None:
    page = open_page()
    good = stage.file.read_text()
    stage.file.write_text(good.replace('"weight": 1', '"weight": -5'))
    problem = page.get_by_role("article", name="filed").get_by_role("group", name="A newer version was refused")
    expect(problem).to_contain_text("candidates[0].weight must be a whole number")
    stage.file.write_text(good)
    expect(problem).to_be_hidden()


def test_without_experiments_it_says_how_to_start_one(open_page: Open) -> None:
    page = open_page()
    expect(page.get_by_role("article", name="iris-ab")).to_be_visible()
    page.evaluate("import('/page/store.js').then((store) => store.become({ experiments: [] }))")
    expect(page.get_by_role("heading", name="No experiments yet")).to_be_visible()
    expect(page.get_by_text("extproc experiment start -f")).to_be_visible()


def test_words_of_others_are_text_and_not_markup(open_page: Open, stage: Stage) -> None:
    stage.put(iris_ab(1, 2), "?caller=%3Cb%3Emallory%3C/b%3E&why=%3Cimg%20src=x%20onerror=alert(1)%3E")
    page = open_page(DETAIL)
    row = page.get_by_role("group", name="Revisions").get_by_role("row").nth(1)
    expect(row).to_contain_text("<b>mallory</b>")
    expect(row).to_contain_text("<img src=x onerror=alert(1)>")
    expect(row.locator("img, td b + b")).to_have_count(0)
