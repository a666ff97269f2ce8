"""The built site in a real browser: over HTTP as published, and from files as copied."""

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

pytestmark = pytest.mark.browser

TOC = yaml.safe_load((Path(__file__).resolve().parents[2] / "_toc.yml").read_text("utf8"))
PAGES = [
    TOC["root"],
    *(chapter["file"] for part in TOC["parts"] for chapter in part["chapters"]),
    "search",
]
FRAMEWORKS = ("PyTorch", "TensorFlow")
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
HEAVIEST = 1.5e6  # bytes transferred for a page


def watch(tab, ours):
    """Lists that fill with errors and with requests that leave the site."""
    errors, outside = [], []
    tab.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    tab.on("response", lambda r: errors.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("request", lambda r: None if r.url.startswith(ours) else outside.append(r.url))
    return errors, outside


def open_page(tab, url, theme="light"):
    """Open a page and wait until its formulas are typeset."""
    tab.emulate_media(color_scheme=theme)
    tab.goto(url, wait_until="load")
    tab.evaluate("() => window.MathJax?.startup?.promise")


def open_all(tab):
    """Open every folded part, so that what is in there is looked at too."""
    tab.evaluate("""() => {
        document.querySelectorAll("details").forEach(part => { part.open = true; });
        document.querySelectorAll(".toggle-hidden").forEach(part => {
            part.classList.remove("toggle-hidden"); });
    }""")


def settle(tab):
    """The theme waits for 0.3 s before it lets the keyboard reach what has come to scroll."""
    tab.wait_for_timeout(500)


def faults_of(tab, within=None, **choice):
    """Violations that axe-core finds: of WCAG 2.2 A and AA, or of the chosen rules.

    `within` is a selector of the part that is looked at, by default the page.
    """
    from axe_playwright_python.sync_playwright import Axe

    run = choice or {"type": "tag", "values": WCAG}
    options = {"runOnly": run, "resultTypes": ["violations"], "preload": False}
    result = Axe().run(tab, context=within, options=options)
    return [
        f"{violation['id']}: {[node['target'] for node in violation['nodes']]}"
        for violation in result.response["violations"]
    ]


def untypeset(tab):
    formulas = tab.locator("article .math").count()
    typeset = tab.locator("article .math > mjx-container svg").count()
    refused = tab.locator("article [data-mml-node=merror]").count()
    return max(formulas - typeset, 0) + refused


def shown(tab):
    """The label of the open tab of every set on the page."""
    labels = tab.locator(".sd-tab-set > input:checked + label").all_text_contents()
    return [label.strip() for label in labels]  # those in folded parts too


def scrolling_code(tab):
    """Code, and what it printed, that goes on beyond the right edge."""
    return tab.evaluate("""() => [...document.querySelectorAll("article pre")]
        .filter(code => code.checkVisibility() && code.scrollWidth > code.clientWidth + 1)
        .map(code => code.textContent.slice(0, 80))""")


def page_with_tabs(pages):
    for page, html in pages.items():
        if len(html.select(".sd-tab-set")) > 1:
            return page
    pytest.fail("no page has two sets of tabs")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_light_and_dark_on_a_desk_and_on_a_phone(name, browser, host, site):
    """A page is fetched once over HTTP, then seen in each theme on each screen.

    All rules of WCAG are applied in the light; the dark changes colours alone, so contrast is
    what is measured there. Folded parts are open. The rows of the report are _build/site-report/.
    """
    # With motion, what has just been opened or recoloured would still be on its way.
    context = browser.new_context(viewport=DESKTOP, reduced_motion="reduce")
    tab = context.new_page()
    network, transferred = context.new_cdp_session(tab), []
    network.send("Network.enable")
    network.on("Network.loadingFinished", lambda e: transferred.append(e["encodedDataLength"]))
    errors, outside = watch(tab, (host, "data:", "blob:"))
    open_page(tab, f"{host}{name}.html")
    weight = sum(transferred)
    if weight > HEAVIEST:
        errors.append(f"{weight} bytes to fetch")
    open_all(tab)
    rows, wrong = [], []
    for screen, size in (("desk", DESKTOP), ("phone", PHONE)):
        tab.set_viewport_size(size)
        settle(tab)
        for theme in ("light", "dark"):
            tab.emulate_media(color_scheme=theme, reduced_motion="reduce")
            tab.locator(f"html[data-theme={theme}]").wait_for()
            choice = {"type": "rule", "values": ["color-contrast"]} if theme == "dark" else {}
            wide = tab.evaluate("() => document.documentElement.scrollWidth > innerWidth")
            found = {
                "WCAG 2.2": faults_of(tab, **choice),
                "outside": outside,
                "errors": errors,
                "untypeset": ["a formula"] * untypeset(tab),
                "too wide": ["scrolls sideways"] * wide,
                "cut off": scrolling_code(tab) if size is DESKTOP else [],
            }
            cells = [Path(name).name, screen, theme, *map(len, found.values()), weight // 1000]
            rows.append(f"| {' | '.join(map(str, cells))} |\n")
            wrong += [
                f"{screen} {theme}: {key}: {faults}" for key, faults in found.items() if faults
            ]
    context.close()
    head = f"| page | screen | theme | {' | '.join(found)} | kB |\n|{' --- |' * (4 + len(found))}\n"
    report = site.parent / "site-report"
    report.mkdir(exist_ok=True)
    (report / "0.md").write_text(head, "utf8")
    (report / f"{Path(name).name}.md").write_text("".join(rows), "utf8")
    assert not wrong, "\n".join(wrong)


def test_no_page_is_left_out(site, pages):
    assert {f"{name}.html" for name in PAGES} == {p.relative_to(site).as_posix() for p in pages}


def test_tabs_switch_together_by_mouse_and_stay_switched(tab, pages):
    open_page(tab, page_with_tabs(pages).as_uri())
    assert set(shown(tab)) == {"PyTorch"}
    tab.locator(".sd-tab-set > label:visible", has_text="TensorFlow").last.click()
    assert set(shown(tab)) == {"TensorFlow"}
    tab.reload()
    assert set(shown(tab)) == {"TensorFlow"}


def test_tabs_switch_together_by_keyboard(tab, pages):
    open_page(tab, page_with_tabs(pages).as_uri())
    tab.locator(".sd-tab-set > input").first.focus()
    tab.keyboard.press("ArrowRight")
    assert set(shown(tab)) == {"TensorFlow"}
    tab.keyboard.press("ArrowLeft")
    assert set(shown(tab)) == {"PyTorch"}


def test_the_keyboard_reaches_every_tab_menu_and_dropdown(tab, pages):
    """Tab alone visits every control that a mouse can use; a set of tabs counts as one control."""
    open_page(tab, page_with_tabs(pages).as_uri())
    tab.evaluate("""() => {
        window.visited = new Set();
        document.addEventListener("focusin", event => visited.add(event.target), true);
        document.activeElement.blur();
    }""")
    controls = """() => [...document.querySelectorAll(
        "summary, button, .sd-tab-set, a.launch, .launch-badges a, .bd-sidebar-primary a")]
        .filter(control => control.checkVisibility({visibilityProperty: true}))
        .filter(control => !control.closest("dialog"))"""
    for _ in range(1500):
        tab.keyboard.press("Tab")
        if tab.evaluate("() => document.activeElement === document.body"):
            break
    missed = tab.evaluate(f"""() => ({controls})()
        .filter(control => ![...visited].some(v => control === v
            || (control.matches(".sd-tab-set") && control.contains(v))))
        .map(control => control.outerHTML.slice(0, 200))""")
    assert tab.evaluate(f"() => ({controls})().length") > 50
    assert not missed


def test_the_keyboard_opens_menus_dropdowns_and_solutions(tab, pages):
    open_page(tab, page_with_tabs(pages).as_uri())
    for menu in tab.locator(".article-header-buttons .dropdown-toggle").all():
        menu.focus()
        tab.keyboard.press("Enter")
        assert menu.get_attribute("aria-expanded") == "true"
        tab.keyboard.press("ArrowDown")
        assert tab.evaluate("() => document.activeElement.matches('.dropdown-item')")
        tab.keyboard.press("Escape")
        assert menu.get_attribute("aria-expanded") == "false"
    folded = tab.locator("article details > summary").first
    folded.focus()
    tab.keyboard.press("Enter")
    assert folded.evaluate("summary => summary.parentElement.open")


def test_what_goes_on_beyond_its_edge_says_so(tab, site):
    tab.set_viewport_size(PHONE)
    open_page(tab, (site / "book" / "notation.html").as_uri())
    settle(tab)
    silent = tab.evaluate("""() => [...document.querySelectorAll("article *")].filter(box =>
        box.scrollWidth > box.clientWidth + 2 && !box.classList.contains("goes-on")
        && ["auto", "scroll"].includes(getComputedStyle(box).overflowX)
    ).map(box => box.outerHTML.slice(0, 80))""")
    assert not silent
    table = tab.locator(".pst-scrollable-table-container.goes-on").first.element_handle()
    table.evaluate("box => { box.scrollLeft = box.scrollWidth; }")
    tab.wait_for_function("box => !box.classList.contains('goes-on')", arg=table, timeout=5000)


def test_letters_in_figures_can_be_read_on_a_phone(tab, pages):
    """11 pixels at least, from what a figure's class says of it where it is shown whole."""
    tab.set_viewport_size(PHONE)
    seen, small = 0, []
    for page in pages:
        tab.goto(page.as_uri())
        for classes, width, shown, alt in tab.evaluate("""() =>
            [...document.querySelectorAll(".cell_output img[class*=text-]")].map(image =>
                [image.className, parseFloat(image.style.width),
                 image.getBoundingClientRect().width, image.alt])"""):
            size = int(re.search(r"text-(\d+)", classes)[1]) / 10 * shown / width
            seen += shown > 0
            small += [(page.name, round(size, 1), alt)] if 0 < size < 11 else []
    assert seen > 30
    assert not small


def test_a_reader_who_asks_for_less_motion_gets_none(tab, pages):
    tab.emulate_media(reduced_motion="reduce")
    tab.goto(page_with_tabs(pages).as_uri())
    moving = tab.evaluate("""() => [...document.querySelectorAll("*")].filter(element => {
        const style = getComputedStyle(element);
        const seconds = text => Math.max(...text.split(",").map(parseFloat));
        return seconds(style.transitionDuration) > 0.001 || seconds(style.animationDuration) > 0.001
            || style.scrollBehavior === "smooth";
    }).map(element => element.outerHTML.slice(0, 80))""")
    assert not moving


def test_tab_sets_offer_both_frameworks(pages):
    sets = [s for html in pages.values() for s in html.select(".sd-tab-set")]
    assert sets
    for tabs in sets:
        assert [label.get_text(strip=True) for label in tabs.select("label.sd-tab-label")] == [
            *FRAMEWORKS
        ]


def test_the_front_door_opens_the_book(tab, site):
    tab.goto((site / "index.html").as_uri())
    tab.wait_for_url("**/book/intro.html")


def test_background_follows_the_theme(tab, site):
    grounds = {}
    for theme in ("light", "dark"):
        open_page(tab, (site / "book" / "intro.html").as_uri(), theme)
        ground = tab.evaluate("() => getComputedStyle(document.body).backgroundColor")
        grounds[theme] = sum(map(int, ground.strip("rgb()").split(",")))
    assert grounds["dark"] < 150 < 600 < grounds["light"]


def test_a_chart_follows_the_theme(tab, site):
    grounds = {}
    for theme in ("light", "dark"):
        open_page(tab, (site / "book" / "theory.html").as_uri(), theme)
        chart = tab.locator('.cell_output img[src$=".svg"]').first
        with Image.open(BytesIO(chart.screenshot())) as picture:
            grounds[theme] = np.median(np.asarray(picture.convert("L")))
    assert grounds["dark"] < 50 < 230 < grounds["light"]


def found_by(tab, base, word):
    """The pages that the search finds for a word, with the excerpts it shows."""
    tab.goto(f"{base}search.html?q={word}")
    hits = tab.locator("#search-results ul.search li")
    hits.first.wait_for()
    tab.locator("#search-results p.context").first.wait_for()
    settle(tab)  # results come one by one
    return {
        hit.locator("a").first.get_attribute("href").split("?")[0].split("#")[0]: hit.inner_text()
        for hit in hits.all()
    }


@pytest.mark.parametrize("place", ["host", "site"])
def test_search_finds_a_word_in_either_spelling_with_excerpts(tab, request, place):
    """Over HTTP, and from files."""
    base = request.getfixturevalue(place)
    base = base if place == "host" else base.as_uri() + "/"
    british, american = (found_by(tab, base, word) for word in ("minimises", "minimize"))
    assert {*british} == {*american}
    assert any("theory" in page for page in british)
    assert any("minimis" in text.lower() for text in british.values())


def test_one_word_finds_every_chapter_that_has_it(tab, site, pages):
    having = {
        path.stem for path, html in pages.items()
        if html.article and re.search(r"\bautoencoders?\b", html.article.get_text(" "), re.I)
    }  # fmt: skip
    found = found_by(tab, site.as_uri() + "/", "autoencoder")
    assert having - {Path(page).stem for page in found} == set()


def test_a_formula_and_its_comma_stay_on_one_line(tab, site):
    open_page(tab, (site / "book" / "theory.html").as_uri())
    kept = tab.locator("article .unbroken").all()
    assert len(kept) > 50
    for width in (390, 611, 1280):
        tab.set_viewport_size({"width": width, "height": 900})
        torn = tab.evaluate("""() => {
            const range = document.createRange();
            return [...document.querySelectorAll("article .unbroken")].filter(span => {
                const formula = span.querySelector("mjx-container").getBoundingClientRect();
                range.selectNode(span.lastChild);
                return range.getBoundingClientRect().top > formula.bottom;
            }).map(span => span.textContent);
        }""")
        assert not torn


def test_an_address_that_does_not_exist_leads_back_into_the_book(tab, host):
    errors, outside = watch(tab, host)
    response = tab.goto(f"{host}book/deep/nowhere.html")
    assert response.status == 404
    assert tab.get_by_role("heading", name="Page not found").is_visible()
    assert (
        tab.evaluate(
            "() => getComputedStyle(document.querySelector('.bd-sidebar-primary')).display"
        )
        != "block"
    )
    tab.locator(".bd-sidebar-primary a", has_text=re.compile("Training")).first.click()
    tab.wait_for_url("**/book/training.html")
    assert not outside
    assert all("404" in error for error in errors)  # the browser reports the status itself


def test_paper_shows_the_page_and_nothing_else(tab, pages):
    """Both frameworks, folded parts open, no menus, no line of code cut off, nothing faded out."""
    tab.set_viewport_size(PHONE)
    open_page(tab, page_with_tabs(pages).as_uri(), "dark")
    tab.locator(".goes-on").first.wait_for()
    tab.emulate_media(media="print")
    tab.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    visible = "element => element.checkVisibility({visibilityProperty: true})"
    for content in tab.locator(".sd-tab-content").all():
        assert content.evaluate(visible)
    for menu in tab.locator(".article-header-buttons, .launch-badges, .bd-sidebar-primary").all():
        assert not menu.evaluate(visible)
    assert not tab.evaluate("""() => [...document.querySelectorAll("article pre")]
        .filter(code => code.scrollWidth > code.clientWidth + 1).length""")
    for changed in tab.locator("article .goes-on, article .cell_output img").all():
        style = changed.evaluate("box => (s => [s.maskImage, s.filter])(getComputedStyle(box))")
        assert style == ["none", "none"]
    for part in tab.locator("article details.checked").all():
        assert not part.evaluate(visible)
    for part in tab.locator("article details:not(.checked) > :not(summary)").all():
        assert part.evaluate(visible)
