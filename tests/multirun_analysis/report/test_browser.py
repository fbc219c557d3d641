"""The report in a real browser: Debian's Chromium, through Playwright."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hostile import HTML, NAME, write_hostile
from synthetic import Outcome, configuration, write_runs

from multirun_analysis import load
from multirun_analysis.report.page import render

CHROMIUM = Path("/usr/bin/chromium")
if not CHROMIUM.exists():
    pytest.skip(f"the report's script is tested in {CHROMIUM}, which is not installed", allow_module_level=True)
api = pytest.importorskip("playwright.sync_api", reason="Playwright drives the browser")

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SHOWN = "tbody tr:visible"


@pytest.fixture(scope="module")
def browser():
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(grid_sweep, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_bytes(render(load(grid_sweep)))
    return path


@pytest.fixture
def visit(browser):
    """Opens a page; when the test ends, nothing may have been complained of or fetched."""
    contexts, complaints = [], []

    def open_page(path, viewport=DESKTOP, **options):
        context = browser.new_context(viewport=viewport, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append("a dialog"))
        allowed = ("data:", path.as_uri())
        page.on("request", lambda request: request.url.startswith(allowed) or complaints.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def column(page, name):
    """The texts of a column of the table of runs, top to bottom, of the rows that are shown."""
    headings = page.locator("table.runs thead th").all_inner_texts()
    place = headings.index(name) + 1
    return page.locator(f"table.runs {SHOWN} > :nth-child({place})").all_inner_texts()


def shot(page):
    """What the curves look like, once they have been drawn."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.evaluate("document.getElementById('base').toDataURL()")


def until(page, condition):
    """Waits for it; the page's policy keeps Playwright from doing so by itself."""
    for _ in range(600):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it never came")


def heading(page, name):
    return page.locator("table.runs thead th", has=page.get_by_role("button", name=name, exact=True))


def test_a_click_sorts_and_another_turns_the_order_round(visit, report):
    page = visit(report)
    name = "final test error (%)"
    for order in ("ascending", "descending"):
        heading(page, name).get_by_role("button").click()
        assert heading(page, name).get_attribute("aria-sort") == order
        values = [float(text) for text in column(page, name) if text]
        assert values == sorted(values, reverse=order == "descending")
        assert len(values) == 24


def test_what_has_no_value_comes_last_in_either_order(visit, tmp_path):
    def outcome(config):
        return Outcome("failed") if config["seed"] % 2 else Outcome(error=float(config["seed"]))

    sweep = write_runs(tmp_path / "s", [configuration(seed=seed) for seed in range(6)], outcome)
    path = tmp_path / "report.html"
    path.write_bytes(render(load(sweep.path)))
    page = visit(path)
    for order in (["0.00", "2.00", "4.00"], ["4.00", "2.00", "0.00"]):
        heading(page, "final test error (%)").get_by_role("button").click()
        assert column(page, "final test error (%)") == [*order, "", "", ""]


def test_words_filter_the_runs(visit, report):
    page = visit(report)
    page.get_by_role("searchbox").fill("Diverged depth=56")
    assert set(column(page, "state")) == {"diverged epoch 2"}
    assert set(column(page, "depth")) == {"56"}
    assert page.locator("#count").inner_text() == "2 of 24 runs"
    page.get_by_role("searchbox").fill("nothing like it")
    assert page.get_by_text("No run passes the filters.", exact=True).is_visible()
    page.get_by_role("button", name="Show all runs").click()
    assert len(column(page, "state")) == 24


def test_a_value_that_is_switched_off_leaves_the_table_and_the_curves(visit, report):
    page = visit(report)
    before = shot(page)
    depth = page.get_by_role("group", name="depth")
    depth.get_by_text("56", exact=True).click()
    assert set(column(page, "depth")) == {"20", "110"}
    assert shot(page) != before
    depth.get_by_text("56", exact=True).click()
    assert shot(page) == before
    depth.get_by_role("button", name="hide all").click()
    assert page.get_by_text("No run with epochs passes the filters.").is_visible()
    depth.get_by_role("button", name="show all").click()
    assert shot(page) == before


def test_every_choice_draws_other_curves(visit, report):
    page = visit(report)
    seen = {shot(page)}
    for control, value in (
        ("Metric", "train_loss"),
        ("Lines", "runs"),
        ("Colour", "seed"),
        ("Dashes", "arch.depth"),
        ("Panels", "tau"),
    ):
        page.get_by_label(control, exact=True).select_option(value)
        seen.add(shot(page))
    page.get_by_label("log scale").click()
    seen.add(shot(page))
    assert len(seen) == 7


def test_a_drag_zooms_and_a_double_click_shows_the_whole(visit, report):
    page = visit(report)
    plot = page.locator("#plot")
    plot.scroll_into_view_if_needed()
    before, box = shot(page), plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.6, steps=4)
    page.mouse.up()
    assert plot.get_attribute("data-view") == "part"
    assert shot(page) != before
    plot.dblclick()
    assert plot.get_attribute("data-view") == "whole"
    assert shot(page) == before


def test_a_pointer_reads_the_nearest_curve_and_marks_its_runs(visit, report):
    page = visit(report)
    page.get_by_role("group", name="depth").get_by_role("button", name="hide all").click()
    page.get_by_role("group", name="depth").get_by_text("110", exact=True).click()
    page.get_by_role("group", name="norm").get_by_text("none", exact=True).click()
    plot = page.locator("#plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 10, box["y"] + box["height"] - 60)
    said = page.locator("#readout").inner_text()
    assert "depth 110, norm batch, τ" in said
    assert "epoch 5: " in said
    assert "(n = 2)" in said
    assert page.locator("tr.lit").count() == 2
    page.locator("h1").hover()
    assert page.locator("#readout").is_hidden()


def test_a_row_that_is_pointed_at_lights_its_curve(visit, report):
    page = visit(report)
    page.locator(f"table.runs {SHOWN}").nth(3).hover()
    lit = "[...document.getElementById('over').getContext('2d').getImageData(0, 0, 1200, 400).data].some(Boolean)"
    assert page.evaluate(lit)


def test_the_keyboard_does_what_the_mouse_does(visit, report):
    page = visit(report)
    plot, readout = page.locator("#plot"), page.locator("#readout")
    plot.focus()
    page.keyboard.press("ArrowRight")
    assert "epoch 5: " in readout.inner_text()
    page.keyboard.press("ArrowLeft")
    there = readout.inner_text()
    assert "epoch 4: " in there
    page.keyboard.press("ArrowUp")
    assert readout.inner_text() != there
    page.keyboard.press("ArrowDown")
    assert readout.inner_text() == there
    page.keyboard.press("+")
    assert plot.get_attribute("data-view") == "part"
    page.keyboard.press("0")
    assert plot.get_attribute("data-view") == "whole"
    page.get_by_role("group", name="seed").get_by_label("1", exact=True).focus()
    page.keyboard.press("Space")
    assert set(column(page, "seed")) == {"0"}
    heading(page, "depth").get_by_role("button").focus()
    for order in ("ascending", "descending"):
        page.keyboard.press("Enter")
        assert heading(page, "depth").get_attribute("aria-sort") == order


def test_a_run_has_a_page_of_its_own(visit, report):
    page = visit(report)
    page.get_by_role("searchbox").fill("batch depth=56,seed=1 L^-1/2")
    (name,) = column(page, "run")
    page.get_by_role("link", name=name, exact=True).click()
    single = page.locator("#single")
    assert single.get_by_role("heading", level=1).inner_text() == name
    assert page.locator("#report").is_hidden()
    headings = single.get_by_role("heading", level=2).all_inner_texts()
    assert headings == ["Curves", "Beside its neighbours", "Configuration", "Attempts"]
    neighbours = single.get_by_role("region", name="Neighbours").locator("tbody tr")
    assert [row.split("\t")[:2] for row in neighbours.all_inner_texts()] == [
        ["depth", "20"],
        ["depth", "110"],
        ["norm", "none"],
        ["τ", "1"],
        ["seed", "0"],
    ]
    keys = single.get_by_role("region", name="Keys that vary").locator("tbody tr").all_inner_texts()
    assert [row.split("\t") for row in keys] == [
        ["arch.depth", "56"],
        ["arch.norm", "batch"],
        ["seed", "1"],
        ["tau.exponent", "0.5"],
    ]
    there = visit(report)
    there.goto(page.url)
    there.reload()  # the address can be kept
    assert there.locator("#single h1").inner_text() == name
    there.get_by_role("navigation").get_by_role("link", name="Figures").click()
    assert there.locator("#single").is_hidden()
    until(there, lambda: there.locator("#figures").evaluate("one => one.getBoundingClientRect().top < innerHeight"))
    page.get_by_role("link", name="← all runs").click()
    assert column(page, "run") == [name]  # as it was left


@pytest.mark.parametrize("hash", ["#run=%", "#runs=%E0%A4%A,%", "#run=nobody"])
def test_an_address_that_names_no_run_shows_the_report(visit, report, hash):
    page = visit(report)
    page.evaluate("hash => { location.hash = hash; }", hash)
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.locator("#report").is_visible()
    assert page.locator("#single").is_hidden()


def test_the_controls_of_the_curves_stand_in_one_line(visit, report):
    page = visit(report, {"width": 1400, "height": 900})
    tops = page.locator("#chart .controls > *").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect()).map(box => (box.top + box.bottom) / 2)"
    )
    assert max(tops) - min(tops) < 4


def test_who_reads_a_curve_goes_on_when_the_window_has_lost_the_keys(visit, report):
    page = visit(report)
    page.locator("#plot").focus()
    page.keyboard.press("ArrowRight")
    page.evaluate("document.getElementById('plot').dispatchEvent(new FocusEvent('blur'))")  # as a window does
    assert "epoch 5: " in page.locator("#readout").inner_text()
    page.get_by_role("searchbox").focus()
    assert page.locator("#readout").is_hidden()


def test_chosen_runs_stand_side_by_side(visit, report):
    page = visit(report)
    assert page.get_by_role("button", name="Side by side").is_disabled()
    names = [column(page, "run")[place] for place in (0, 5)]
    for name in names:
        page.get_by_role("checkbox", name=f"choose {name}").check()
    page.get_by_role("button", name="Side by side: 2 runs").click()
    single = page.locator("#single")
    assert single.get_by_role("region", name="Chosen runs").get_by_role("link").all_inner_texts() == names
    differ = single.get_by_role("region", name="Keys that differ").locator("tbody tr").all_inner_texts()
    assert [row.split("\t") for row in differ] == [["arch.norm", "batch", "none"], ["seed", "0", "1"]]
    drawn = (
        """canvas => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data].some(Boolean)"""
    )
    assert single.locator("canvas").count() == 5
    assert all(canvas.evaluate(drawn) for canvas in single.locator("canvas").all())


def test_everything_that_can_be_used_can_be_reached_by_tab_and_has_a_name(visit, report):
    page = visit(report)
    nameless = """() => [...document.querySelectorAll("button, input, select, a, [tabindex]")]
        .filter(one => one.checkVisibility() && (one.tabIndex < 0 ||
            !(one.innerText.trim() || one.ariaLabel || one.labels?.[0]?.innerText.trim())))
        .map(one => one.outerHTML.slice(0, 80))"""
    assert page.evaluate(nameless) == []


def test_html_in_a_sweep_stays_text(visit, tmp_path):
    sweep = write_hostile(tmp_path / "s")
    path = tmp_path / "report.html"
    path.write_bytes(render(load(sweep.path)))
    page = visit(path)
    assert page.evaluate("typeof hit") == "undefined"
    assert page.locator("img").count() == 0
    assert page.locator("table.runs tbody").get_by_text(NAME, exact=True).count() == 1
    for place in ("#filters", "#failures", "#configuration", "#provenance"):
        assert HTML in page.locator(place).inner_text()
    page.get_by_label("Colour", exact=True).select_option("dataset.fingerprint")
    page.get_by_label("Lines", exact=True).select_option("runs")
    page.locator("#plot").focus()
    page.keyboard.press("ArrowRight")
    for _ in range(6):
        page.keyboard.press("ArrowUp")
    said = []
    for _ in range(6):
        said.append(page.locator("#readout").inner_text())
        page.keyboard.press("ArrowDown")
    assert any(HTML in text for text in said)
    page.get_by_role("searchbox").fill("<img onerror")
    assert len(column(page, "state")) == 2
    for box in page.get_by_role("checkbox", name="choose").all():
        box.check()
    page.get_by_role("button", name="Side by side: 2 runs").click()
    assert NAME in page.locator("#single").inner_text()
    page.go_back()
    page.get_by_role("link", name=NAME, exact=True).click()
    assert page.locator("#single h1").inner_text() == NAME
    assert page.locator("#single").text_content().count(HTML) >= 2  # a value, and the log or the traceback
    assert page.evaluate("typeof hit") == "undefined"
    assert page.locator("img").count() == 0


def test_a_phone_scrolls_the_page_in_one_direction_only(visit, report):
    page = visit(report, PHONE, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert page.evaluate("document.getElementById('plot').clientWidth") <= PHONE["width"]
    page.locator("#plot").tap()
    page.get_by_role("button", name="Zoom in").tap()
    assert page.locator("#plot").get_attribute("data-view") == "part"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_light_or_dark_as_the_reader_has_it_or_says(visit, report, scheme):
    page = visit(report, color_scheme=scheme)

    def brightness():
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        red, green, blue = map(int, re.findall(r"\d+", colour)[:3])
        return (red + green + blue) / 3

    assert (brightness() > 128) == (scheme == "light")
    before = shot(page)
    button = page.get_by_role("button", name="Theme")
    for chosen in ("light", "dark"):
        button.click()
        assert button.inner_text() == f"Theme: {chosen}"
        assert (brightness() > 128) == (chosen == "light")
        assert (shot(page) == before) == (chosen == scheme)


def test_without_script_the_report_can_still_be_read(browser, report):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator("table.runs tbody tr").count() == 24
    assert page.locator("table.runs").is_visible()
    context.close()


def test_1000_runs_of_200_epochs_become_interactive(visit, wide_report):
    path, count = wide_report
    page = visit(path)
    ready = int(page.evaluate("document.documentElement.dataset.ready")) / 1000
    page.get_by_label("Lines", exact=True).select_option("runs")
    page.get_by_role("searchbox").fill("depth=110")
    assert len(column(page, "state")) == count // 5
    page.get_by_role("searchbox").fill("")
    while page.locator("#further").is_visible():
        page.locator("#further").click()
    assert len(set(column(page, "run"))) == count
    load = f"load {os.getloadavg()[0]:.1f}"
    print(f"1,000 runs × 200 epochs: {path.stat().st_size / 1e6:.1f} MB, interactive after {ready:.2f} s ({load})")


def test_a_finished_epoch_and_a_new_run_reach_a_page_that_is_open(browser, tmp_path):
    def outcome(config):
        return Outcome(error=2.0) if config["seed"] else Outcome("running")

    sweep = write_runs(tmp_path / "s", [configuration(seed=seed) for seed in range(3)], outcome)
    run = next(run for run in sweep if run.read_record().state == "running")
    process = subprocess.Popen(
        [sys.executable, "-c", "from multirun_analysis.command import main; main()", "serve", str(sweep.path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        address, complaints = process.stdout.readline().strip(), []
        page = browser.new_context(viewport=DESKTOP).new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: request.url.startswith(address) or complaints.append(request.url))
        page.goto(address)
        page.wait_for_selector("html[data-ready]")
        page.wait_for_selector("#figures svg", state="attached")  # which come later
        page.evaluate("document.documentElement.dataset.same = 'yes'")
        page.get_by_label("Lines", exact=True).select_option("runs")
        before = shot(page)
        with run.metrics(1).open("a") as file:
            file.write("3,0.1,0.5,99.0,0.6,99.0\n")
        until(page, lambda: shot(page) != before)
        assert page.evaluate("document.documentElement.dataset.same") == "yes"  # it was not loaded again
        write_runs(sweep.path, [configuration(seed=9)], outcome)
        page.get_by_text("4 runs", exact=True).wait_for()
        assert page.get_by_label("Lines", exact=True).input_value() == "runs"  # as it was chosen
        page.get_by_role("link", name=run.path.name, exact=True).click()
        page.get_by_role("region", name="Attempts").wait_for()
        assert page.locator("#live").inner_text() == "live"
        process.send_signal(signal.SIGINT)
        page.get_by_text("not served any more").wait_for()
        assert process.wait() == 0
    finally:
        process.kill()
    assert complaints == []
