"""The built site in a real browser, as a reader without a network gets it: from file://."""

import pytest

pytestmark = pytest.mark.browser

FRAMEWORKS = ("PyTorch", "TensorFlow")


def open_page(tab, page, theme="light"):
    """Open a page and wait until its formulas are typeset; return what went wrong on the way."""
    troubles = []
    tab.on("console", lambda m: troubles.append(m.text) if m.type == "error" else None)
    tab.on("pageerror", lambda error: troubles.append(str(error)))
    tab.on("request", lambda r: troubles.append(r.url) if r.url.startswith("http") else None)
    tab.emulate_media(color_scheme=theme)
    tab.goto(page.as_uri(), wait_until="load")
    tab.evaluate("() => window.MathJax?.startup?.promise")
    return troubles


def shown(tab):
    """The label of the open tab of every set on the page."""
    return tab.locator(".sd-tab-set > input:checked + label").all_inner_texts()


def page_with_tabs(pages):
    for page, html in pages.items():
        if len(html.select(".sd-tab-set")) > 1:
            return page
    pytest.fail("no page has two sets of tabs")


def test_no_page_asks_the_network_or_reports_an_error(tab, pages):
    for page in pages:
        assert not open_page(tab, page), page.name


def test_every_formula_is_typeset(tab, pages):
    for page, html in pages.items():
        formulas = len(html.select("article .math"))
        if formulas:
            open_page(tab, page)
            typeset = tab.locator("article .math > mjx-container svg").count()
            assert typeset >= formulas, page.name
            assert tab.locator("article [data-mml-node=merror]").count() == 0, page.name


def test_tabs_switch_together_by_mouse_and_stay_switched(tab, pages):
    page = page_with_tabs(pages)
    open_page(tab, page)
    assert set(shown(tab)) == {"PyTorch"}
    tab.locator(".sd-tab-set > label", has_text="TensorFlow").last.click()
    assert set(shown(tab)) == {"TensorFlow"}
    tab.reload()
    assert set(shown(tab)) == {"TensorFlow"}


def test_tabs_switch_together_by_keyboard(tab, pages):
    open_page(tab, page_with_tabs(pages))
    tab.locator(".sd-tab-set > input").first.focus()
    tab.keyboard.press("ArrowRight")
    assert set(shown(tab)) == {"TensorFlow"}
    tab.keyboard.press("ArrowLeft")
    assert set(shown(tab)) == {"PyTorch"}


def test_tab_sets_offer_both_frameworks(pages):
    sets = [s for html in pages.values() for s in html.select(".sd-tab-set")]
    assert sets
    for tabs in sets:
        assert [label.get_text(strip=True) for label in tabs.select("label.sd-tab-label")] == [
            *FRAMEWORKS
        ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_accessible(tab, pages, theme):
    """No violation of WCAG 2.1 A or AA that axe-core can find."""
    from axe_playwright_python.sync_playwright import Axe

    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
    found = {}
    for page in pages:
        open_page(tab, page, theme)
        assert tab.locator("html").get_attribute("data-theme") == theme
        result = Axe().run(tab, options={"runOnly": {"type": "tag", "values": tags}})
        for violation in result.response["violations"]:
            targets = [node["target"] for node in violation["nodes"]]
            found[f"{page.name}: {violation['id']}"] = targets
    assert not found


def test_the_front_door_opens_the_book(tab, site):
    tab.goto((site / "index.html").as_uri())
    tab.wait_for_url("**/book/intro.html")


def test_background_follows_the_theme(tab, site):
    grounds = {}
    for theme in ("light", "dark"):
        open_page(tab, site / "book" / "intro.html", theme)
        ground = tab.evaluate("() => getComputedStyle(document.body).backgroundColor")
        grounds[theme] = sum(map(int, ground.strip("rgb()").split(",")))
    assert grounds["dark"] < 150 < 600 < grounds["light"]


def test_a_phone_never_scrolls_sideways(browser, pages):
    context = browser.new_context(viewport={"width": 390, "height": 844})
    tab = context.new_page()
    wide = []
    for page in pages:
        open_page(tab, page)
        if tab.evaluate("() => document.documentElement.scrollWidth > innerWidth"):
            wide.append(page.name)
    context.close()
    assert not wide


def test_search_finds_a_term(tab, site):
    open_page(tab, site / "search.html")
    tab.goto((site / "search.html").as_uri() + "?q=reconstruction")
    hits = tab.locator("#search-results ul.search li a")
    hits.first.wait_for()
    assert any("notation" in hit.get_attribute("href") for hit in hits.all())
