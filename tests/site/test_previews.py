"""What a link of the book leads to, shown where the link stands."""

import pytest

from tests.site.test_browser import PHONE, faults_of, open_page, watch

pytestmark = pytest.mark.browser


@pytest.fixture(params=["http", "file"])
def address_of(request, site):
    if request.param == "file":
        return lambda page: (site / "book" / f"{page}.html").as_uri()
    host = request.getfixturevalue("host")
    return lambda page: f"{host}book/{page}.html"


PLACES = [  # a page, a link on it, and what its preview says
    ("theory", 'a[href*="bibliography.html#"]', None),
    ("superposition", 'a[href*="#equation-eq-topk"]', ""),
    ("training", 'a[href*="api.html#"]', ""),
    ("training", 'a[href="theory.html"]', "A network that copies its input"),
]


@pytest.mark.parametrize(("page", "selector", "says"), PLACES)
def test_a_preview_shows_the_place_that_a_link_leads_to(
    page, selector, says, tab, address_of, site
):
    url = address_of(page)
    errors, outside = watch(tab, url.rpartition("book/")[0])
    open_page(tab, url)
    link, tip = tab.locator(f"article {selector}").first, tab.locator("#link-preview")
    link.scroll_into_view_if_needed()
    link.hover()
    tip.wait_for(state="visible")
    assert link.get_attribute("aria-describedby") == "link-preview"
    # Of a reference the link says authors and year.
    assert (link.inner_text()[-4:] if says is None else says) in tip.inner_text()
    if "equation" in selector:
        tip.locator("mjx-container svg").first.wait_for()
    else:
        assert len(tip.inner_text()) > 30
    for theme in ("light", "dark"):
        tab.emulate_media(color_scheme=theme)
        tab.locator(f"html[data-theme={theme}]").wait_for()
        # A link's own colour while it is pointed at is the theme's.
        faults = faults_of(tab, type="rule", values=["color-contrast"])
        assert not [fault for fault in faults if "#link-preview" in fault]
    tip.hover()  # the pointer may move onto it
    tab.wait_for_timeout(500)
    assert tip.is_visible()
    tab.keyboard.press("Escape")
    assert not tip.is_visible()
    assert not errors
    assert not outside


def test_the_keyboard_shows_a_preview_and_touch_does_not(tab, browser, site):
    url = (site / "book" / "theory.html").as_uri()
    open_page(tab, url)
    link = tab.locator('article a[href*="bibliography.html#"]').first
    link.evaluate("link => link.previousElementSibling")
    link.focus()
    tab.keyboard.press("Shift+Tab")
    tab.keyboard.press("Tab")
    tab.locator("#link-preview").wait_for(state="visible")
    tab.keyboard.press("Tab")
    assert link.get_attribute("aria-describedby") is None
    context = browser.new_context(viewport=PHONE, has_touch=True)
    phone = context.new_page()
    open_page(phone, url)
    phone.locator('article a[href*="bibliography.html#"]').first.tap()
    phone.wait_for_url("**/bibliography.html#*")
    context.close()
