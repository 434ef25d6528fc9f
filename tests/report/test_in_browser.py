"""The report in a real browser: no errors, positions of points, filter, phone, print."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiida import orm
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from aiida_mlip_autopipec.report.collect import collect
from aiida_mlip_autopipec.report.model import Subject, Validation
from aiida_mlip_autopipec.report.page import render

from .stored import CHECK, CURVE

BROWSERS, DRIVER = ("chromium", "chromium-browser", "google-chrome"), "chromedriver"


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    program = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    driver = shutil.which(DRIVER)
    if program is None or driver is None:
        pytest.skip("needs Chromium and its driver (apt-get install chromium chromium-driver)")
    options = Options()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    yield chrome
    chrome.quit()


@pytest.fixture(scope="module")
def subject(finished_run: orm.WorkChainNode) -> Subject:
    found = collect(finished_run)
    validation = Validation("0" * 8, False, [CHECK, {**CHECK, "passed": True}, {**CHECK, "passed": None}], [CURVE], {})
    return Subject(**{**vars(found), "validation": validation})


@pytest.fixture
def page(browser: webdriver.Chrome, subject: Subject, tmp_path: Path) -> webdriver.Chrome:
    path = tmp_path / "report.html"
    path.write_text(render(subject), encoding="utf-8")
    show(browser, width=1200)
    browser.get(path.as_uri())
    return browser


def show(browser: webdriver.Chrome, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def console_errors(page: webdriver.Chrome) -> list[dict[str, Any]]:
    """Return the messages of the console, without a hint about reading pixels, which only these tests cause."""
    return [entry for entry in page.get_log("browser") if entry["source"] != "rendering"]


def drawn(page: webdriver.Chrome) -> dict[str, int]:
    """Return the number of points of each plot."""
    canvases = page.find_elements(By.CSS_SELECTOR, "canvas[data-cloud]")
    return {str(one.get_attribute("data-cloud")): int(one.get_attribute("data-drawn") or 0) for one in canvases}


def coloured_pixels(page: webdriver.Chrome, cloud: str) -> int:
    """Return the number of pixels of a plot that are not transparent."""
    script = """
        const canvas = document.querySelector(`canvas[data-cloud="${arguments[0]}"]`);
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        let count = 0;
        for (let i = 3; i < pixels.length; i += 4) count += pixels[i] > 0;
        return count;"""
    return int(page.execute_script(script, cloud))


def test_page_opens_without_errors_and_without_network_requests(page: webdriver.Chrome) -> None:
    assert console_errors(page) == []
    requests = page.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert [name for name in requests if not name.startswith("data:")] == []
    assert page.title == "ACE potential for Cu"


def test_plots_are_drawn(page: webdriver.Chrome, subject: Subject) -> None:
    names = {one.get_attribute("id") for one in page.find_elements(By.TAG_NAME, "figure")}
    clouds = {"energy-parity", "force-parity", "energy-errors", "force-errors", "coverage"}
    assert names >= clouds | {"distances-Cu–Cu", "learning-structures", "learning-functions", "validation-0", "time"}
    counts = drawn(page)
    for cloud in clouds - {"coverage"}:
        assert counts[cloud] == len(subject.structures)
        assert coloured_pixels(page, cloud) > 10 * len(subject.structures)
    # The isolated atom has no shortest distance.
    assert counts["coverage"] == len(subject.structures) - 1
    for figure in page.find_elements(By.TAG_NAME, "figure"):
        assert figure.find_element(By.CSS_SELECTOR, "svg, img").size["height"] > 100


def test_the_filter_by_kind_works(page: webdriver.Chrome, subject: Subject) -> None:
    structures = subject.structures
    everything = drawn(page)
    dimer = structures.kind_names.index("dimer")
    n_dimers = int((structures.kinds == dimer).sum())
    pixels = coloured_pixels(page, "energy-errors")

    group = page.find_element(By.XPATH, "//label[contains(., 'dimer')]/input[@data-group]")
    group.click()
    assert drawn(page)["energy-parity"] == everything["energy-parity"] - n_dimers
    assert coloured_pixels(page, "energy-errors") < pixels
    said = page.find_element(By.ID, "shown").text
    assert said.startswith(f"{len(structures) - n_dimers} of {len(structures)} structures shown")

    page.find_element(By.ID, "none").click()
    assert set(drawn(page).values()) == {0} and coloured_pixels(page, "force-parity") == 0
    assert page.find_element(By.ID, "shown").text == "No structure is shown."
    page.find_element(By.ID, "all").click()
    page.find_element(By.CSS_SELECTOR, 'input[data-side="0"]').click()
    assert drawn(page)["energy-parity"] == int(structures.is_test.sum())
    assert console_errors(page) == []


def test_tooltip_of_a_structure_names_its_calculation(page: webdriver.Chrome, subject: Subject) -> None:
    canvas = page.find_element(By.CSS_SELECTOR, 'canvas[data-cloud="energy-errors"]')
    place: dict[str, Any] = page.execute_script(
        """
        const cloud = JSON.parse(document.getElementById("data").textContent).clouds["energy-errors"];
        arguments[0].scrollIntoView({block: "center"});
        const box = arguments[0].getBoundingClientRect();
        return {x: (cloud.x[0] / 2000 - 0.5) * box.width, y: (0.5 - cloud.y[0] / 2000) * box.height};""",
        canvas,
    )
    ActionChains(page).move_to_element_with_offset(canvas, round(place["x"]), round(place["y"])).click().perform()
    tip = page.find_element(By.ID, "tip")
    assert tip.is_displayed()
    structures = subject.structures
    said = tip.text
    assert any(uuid in said for uuid in structures.calculation_uuids)
    assert any(name in said for name in structures.kind_names) and "meV/atom" in said and "eV/Å" in said
    # After a click it stays open when the pointer leaves.
    ActionChains(page).move_to_element(page.find_element(By.ID, "shown")).perform()
    assert tip.is_displayed() and tip.text == said


def test_page_fits_the_width_of_a_phone(page: webdriver.Chrome) -> None:
    show(page, width=390)
    page.refresh()
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390
    assert min(drawn(page).values()) > 0
    texts = page.find_elements(By.CSS_SELECTOR, "#energy-parity svg text")
    assert min(text.rect["height"] for text in texts) >= 9


def test_page_is_printed_with_all_sections(page: webdriver.Chrome) -> None:
    printed = page.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    pdf = base64.b64decode(printed["data"])
    assert pdf.startswith(b"%PDF") and len(pdf) > 50_000
    assert console_errors(page) == []
