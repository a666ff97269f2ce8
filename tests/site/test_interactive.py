"""The interactive parts of the pages, driven as readers do; their numbers against the reference."""

import base64
import json
import re

import numpy as np
import pytest

from experiments import strokes
from saebook import reference
from tests.site.test_browser import DESKTOP, PHONE, faults_of, open_page, watch

pytestmark = pytest.mark.browser

PARTS = {"draw": "intro"}  # each part with its page


def data_of(site, part):
    """What the build wrote for a part."""
    text = (site / "_static" / "interactive" / f"{part}-data.js").read_text("utf8")
    return json.loads(text[text.index("{") : text.rindex("}") + 1])


def start(tab, url, part, **choice):
    """Open the page of a part, bring it into view, and wait until it has started."""
    open_page(tab, url, **choice)
    box = tab.locator(f".part-{part}")
    box.scroll_into_view_if_needed()
    tab.locator(f".part-{part}.started").wait_for()
    return box


def numbers(box, expression):
    """An array that a part knows, through `part`."""
    return np.array(
        box.evaluate(f"box => {{ const part = box.interactive; return [...{expression}]; }}")
    )


@pytest.fixture(params=["http", "file"])
def address_of(request, site):
    """Where a page is, published or copied; the server is started for the first alone."""
    if request.param == "file":
        return lambda page: (site / "book" / f"{page}.html").as_uri()
    host = request.getfixturevalue("host")
    return lambda page: f"{host}book/{page}.html"


@pytest.mark.parametrize("part", PARTS)
def test_it_stays_a_picture_where_no_script_runs_and_on_paper(part, browser, site):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto((site / "book" / f"{PARTS[part]}.html").as_uri())
    assert tab.locator(f".part-{part} figure img").is_visible()
    assert len(tab.locator(f".part-{part} figcaption").inner_text()) > 80
    context.close()
    context = browser.new_context()
    tab = context.new_page()
    box = start(tab, (site / "book" / f"{PARTS[part]}.html").as_uri(), part)
    assert box.locator(".live").is_visible()
    assert not box.locator("figure img").is_visible()
    tab.emulate_media(media="print")
    assert not box.locator(".live").is_visible()
    assert box.locator("figure img").is_visible()
    context.close()


@pytest.mark.parametrize("part", PARTS)
def test_it_is_accessible_in_both_themes_on_desk_and_phone(part, browser, address_of):
    context = browser.new_context(viewport=DESKTOP, reduced_motion="reduce")
    tab = context.new_page()
    errors, outside = watch(tab, (address_of("")[: -len("book/.html")], "data:", "blob:"))
    for size in (DESKTOP, PHONE):
        tab.set_viewport_size(size)
        box = start(tab, address_of(PARTS[part]), part)
        tab.wait_for_timeout(500)
        for theme in ("light", "dark"):
            tab.emulate_media(color_scheme=theme, reduced_motion="reduce")
            tab.locator(f"html[data-theme={theme}]").wait_for()
            assert not faults_of(tab)
        assert not tab.evaluate("() => document.documentElement.scrollWidth > innerWidth")
        small = box.evaluate("""box => [...box.querySelectorAll(".live *")].filter(e =>
            e.checkVisibility() && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())
            && parseFloat(getComputedStyle(e).fontSize) < 11).map(e => e.outerHTML)""")
        assert not small
    assert not errors
    assert not outside
    context.close()


@pytest.mark.parametrize("part", PARTS)
def test_its_page_and_data_weigh_no_more_than_any_other_page(part, browser, host):
    context = browser.new_context()
    tab, transferred = context.new_page(), []
    network = context.new_cdp_session(tab)
    network.send("Network.enable")
    network.on("Network.loadingFinished", lambda e: transferred.append(e["encodedDataLength"]))
    start(tab, f"{host}book/{PARTS[part]}.html", part)
    assert 200_000 < sum(transferred) < 1.5e6
    context.close()


# Draw a digit


def check_drawing(box, site):
    """What the part shows for what is drawn is what the reference makes of it."""
    data = data_of(site, "draw")
    params, config = strokes.params_of(data), strokes.config_of()
    x = numbers(box, "part.x")[None]
    assert x.max() > 0.9
    z = reference.encode(config, params, x)
    np.testing.assert_allclose(numbers(box, "part.z"), z[0], atol=1e-5)
    assert 0 < np.count_nonzero(z) <= strokes.K
    count = int(box.evaluate("box => box.interactive.shown"))
    order = np.argsort(-z[0], kind="stable")
    partial = np.where(np.isin(np.arange(z.size), order[:count]), z, 0)
    x_hat = reference.decode(config, params, partial)
    np.testing.assert_allclose(numbers(box, "part.x_hat"), x_hat[0], atol=1e-5)
    left = ((x - x_hat) ** 2).sum() / (x**2).sum()
    shown = box.locator(".panel").last.inner_text()
    assert float(re.search(r"([\d.]+) %", shown)[1]) == pytest.approx(100 * left, abs=0.5)
    listed = [float(item.inner_text()) for item in box.locator(".strokes li").all()]
    np.testing.assert_allclose(listed, z[0][order[: np.count_nonzero(z)]], atol=0.05001)
    return x, count


def whole(box):
    """Wait until the sum has grown to its end."""
    box.page.wait_for_function(
        "box => box.interactive.shown === box.interactive.lit.length", arg=box.element_handle()
    )


def test_a_digit_drawn_by_mouse_is_encoded_as_by_the_reference(tab, address_of, site):
    box = start(tab, address_of("intro"), "draw")
    frame = box.locator(".pad").bounding_box()
    path = [(0.3, 0.2), (0.7, 0.2), (0.45, 0.85)]
    points = [(frame["x"] + u * frame["width"], frame["y"] + v * frame["height"]) for u, v in path]
    tab.mouse.move(*points[0])
    tab.mouse.down()
    for point in points[1:]:
        tab.mouse.move(*point, steps=10)
    check_drawing(box, site)  # while it is being drawn
    tab.mouse.up()
    whole(box)
    x, count = check_drawing(box, site)
    assert count == strokes.K
    rows = np.flatnonzero(x.reshape(28, 28).any(axis=1))
    assert rows.max() - rows.min() <= 21  # as tall as MNIST's digits, and in the middle
    assert abs(rows.max() + rows.min() - 27) <= 1
    box.get_by_role("button", name="Clear").click()
    assert not numbers(box, "part.x").any()
    assert box.locator("[role=status]").inner_text() == "Nothing is drawn."


def test_a_digit_drawn_by_touch_is_encoded_as_by_the_reference(browser, address_of, site):
    context = browser.new_context(viewport=PHONE, has_touch=True, reduced_motion="reduce")
    tab = context.new_page()
    box = start(tab, address_of("intro"), "draw")
    box.locator(".pad").scroll_into_view_if_needed()
    frame = box.locator(".pad").bounding_box()
    finger = context.new_cdp_session(tab)
    kinds = ["touchStart", *["touchMove"] * 9, "touchEnd"]
    for step, kind in enumerate(kinds):
        point = {
            "x": frame["x"] + 0.5 * frame["width"],
            "y": frame["y"] + (0.2 + 0.06 * step) * frame["height"],
        }
        touches = [] if kind == "touchEnd" else [point]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})
    _, count = check_drawing(box, site)
    assert count > 0
    assert tab.evaluate("() => scrollX") == 0
    context.close()


def test_a_digit_is_chosen_and_the_sum_changed_by_keyboard(tab, address_of, site):
    tab.emulate_media(reduced_motion="reduce")
    box = start(tab, address_of("intro"), "draw")
    box.get_by_role("button", name="Clear").focus()
    for _ in range(8):
        tab.keyboard.press("Tab")
    assert tab.evaluate("() => document.activeElement.ariaLabel") == "a handwritten 7"
    tab.keyboard.press("Enter")
    x, count = check_drawing(box, site)
    digits = np.frombuffer(base64.b64decode(data_of(site, "draw")["digits"]), "u1")
    np.testing.assert_allclose(x[0], digits.reshape(10, 784)[7] / 255)
    assert count == strokes.K  # at once: nothing moves by itself
    for _ in range(3):
        tab.keyboard.press("Tab")
    for _ in range(5):
        tab.keyboard.press("ArrowLeft")
    assert check_drawing(box, site)[1] == strokes.K - 5
    assert f"{strokes.K - 5} of 128" in box.locator(".panel").nth(1).inner_text()


def test_the_sum_grows_stroke_by_stroke(tab, address_of):
    box = start(tab, address_of("intro"), "draw")
    box.get_by_role("button", name="a handwritten 5").click()
    seen = set()
    for _ in range(60):
        seen.add(int(box.evaluate("box => box.interactive.shown")))
        tab.wait_for_timeout(60)
    assert {1, 5, 9, strokes.K} <= seen
