"""The folder that `saebook.dashboard` writes, in a browser: over http, from a disk, by keyboard."""

import re
import threading
from functools import partial
from http.server import ThreadingHTTPServer

import numpy as np
import pytest

from saebook import SAEConfig, TopK, mnist, reference
from saebook.dashboard import write_dashboard
from saebook.start import init_from_samples
from tests.site.conftest import Host
from tests.site.test_browser import DESKTOP, PHONE, faults_of, watch

pytestmark = pytest.mark.browser

CONFIG = SAEConfig(784, 90, "linear", "linear", sparsity=TopK(6), tied=True)
WORDS = [f" word{i}" for i in range(30)]
LANGUAGE = SAEConfig(16, 20, "relu", "linear", sparsity=TopK(3))


class Written:
    """Two dashboards, and what went into them."""

    def __init__(self, folder):
        rng = np.random.default_rng(0)
        self.x = mnist().x_val[:400]
        self.params = init_from_samples(CONFIG, mnist().x_train[:1000])
        self.effects = rng.normal(size=(90, 10))
        write_dashboard(
            folder / "digits", (CONFIG, self.params), self.x, image_shape=(28, 28),
            effects=self.effects, names={5: "a hook", 77: "Loop at the top"}, title="Strokes",
        )  # fmt: skip
        self.tokens = rng.integers(0, 30, (50, 20))
        self.activations = rng.normal(size=(30, 16))[self.tokens]
        self.activations += 0.2 * rng.normal(size=self.activations.shape)
        rows = self.activations.reshape(-1, 16)
        self.language = init_from_samples(LANGUAGE, rows)
        write_dashboard(
            folder / "words", (LANGUAGE, self.language), self.activations, tokens=self.tokens,
            vocabulary=WORDS, effects=rng.normal(size=(20, 30)),
        )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("dashboards")


@pytest.fixture(scope="module")
def written(folder):
    return Written(folder)


@pytest.fixture(params=["http", "file"])
def root(request, folder, written):
    """Where the folders are, published or on a disk."""
    if request.param == "file":
        yield f"{folder.as_uri()}/"
        return
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Host, folder, "/"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


def open_dashboard(tab, address):
    tab.goto(f"{address}/index.html", wait_until="load")
    tab.wait_for_function("() => document.querySelector('[data-saebook-dashboard]').dashboard")


def known_of(tab):
    """What the page knows of the latent that it shows."""
    return tab.evaluate("() => document.querySelector('[data-saebook-dashboard]').dashboard.about")


def title(tab):
    return tab.locator(".head .title").inner_text()


def numbers_of(tab, selector):
    texts = tab.locator(selector).all_inner_texts()
    return np.array([float(text.replace("−", "-").split()[-1]) for text in texts])


@pytest.mark.parametrize("name", ["digits", "words"])
def test_accessible_in_both_themes_on_desk_and_phone_without_a_network(name, browser, root):
    context = browser.new_context(viewport=DESKTOP, reduced_motion="reduce", offline=True)
    if root.startswith("http"):
        context.set_offline(False)  # the server counts as the network
    tab = context.new_page()
    errors, outside = watch(tab, (root, "data:"))
    for size in (DESKTOP, PHONE):
        tab.set_viewport_size(size)
        for theme in ("light", "dark"):
            tab.emulate_media(color_scheme=theme, reduced_motion="reduce")
            open_dashboard(tab, f"{root}{name}")
            assert not faults_of(tab)
            dark = tab.evaluate(
                "() => getComputedStyle(document.querySelector('main')).backgroundColor"
            )
            assert (dark == "rgb(255, 255, 255)") == (theme == "light")
        assert not tab.evaluate("() => document.documentElement.scrollWidth > innerWidth")
        small = tab.evaluate("""() => [...document.querySelectorAll("main *")].filter(e =>
            e.checkVisibility() && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())
            && parseFloat(getComputedStyle(e).fontSize) < 11).map(e => e.outerHTML)""")
        assert not small
    assert not errors
    assert not outside
    context.close()


def test_what_is_shown_is_what_the_reference_computes(tab, root, written):
    open_dashboard(tab, f"{root}digits")
    z = reference.encode(CONFIG, written.params, written.x.astype(np.float64))
    density = (z != 0).mean(axis=0)
    order = np.argsort(-density, kind="stable")
    listed = tab.locator(".list button").evaluate_all("all => all.map(b => +b.dataset.latent)")
    assert listed == order[:24].tolist()
    assert title(tab) == "a hook"  # of those with a name, the first
    for j in (order[0], order[3], order[23]):
        tab.locator(f'.list [data-latent="{j}"]').click()
        name = {5: "a hook", 77: "Loop at the top"}.get(int(j), f"Latent {j}")
        tab.get_by_role("heading", name=name, exact=True).wait_for()
        known = known_of(tab)
        samples = [e["sample"] for e in known["examples"]]
        values = [e["value"] for e in known["examples"]]
        strongest = -np.sort(-np.abs(z[:, j]))[:12]
        np.testing.assert_allclose(np.abs(values), strongest[strongest > 0], atol=1e-5)
        np.testing.assert_allclose(values, z[samples, j], atol=1e-5)
        np.testing.assert_allclose(numbers_of(tab, ".pictures li"), values, rtol=6e-3)
        np.testing.assert_allclose(
            numbers_of(tab, ".effects li > :last-child"), written.effects[j], rtol=6e-3
        )
        said = tab.locator(".detail > .quiet").inner_text()
        percent = float(re.search(r"for ([\d.]+) %", said)[1])
        assert percent == pytest.approx(100 * density[j], rel=0.06)
    assert "L0 6," in tab.locator(".whole").inner_text()


def test_a_picture_on_the_screen_is_the_sample(browser, root, written):
    """Of the first example, as many pixels on the screen as it has itself."""
    from io import BytesIO

    from PIL import Image

    context = browser.new_context(viewport=DESKTOP)
    tab = context.new_page()
    open_dashboard(tab, f"{root}digits")
    tab.locator(".list button").first.click()
    tab.locator(".head .title", has_text="Latent").wait_for()
    example = known_of(tab)["examples"][2]
    tab.add_style_tag(content=".pictures .tile { border: 0 !important; width: 56px !important; }")
    tab.wait_for_load_state("networkidle")
    seen = tab.locator(".pictures .tile").nth(2).screenshot()
    seen = np.asarray(Image.open(BytesIO(seen)).convert("L").resize((28, 28), Image.Resampling.BOX))
    image = 255 * (1 - written.x[example["sample"]].reshape(28, 28))
    assert np.corrcoef(seen.ravel(), image.ravel())[0, 1] > 0.95
    others = [np.corrcoef(seen.ravel(), 1 - x)[0, 1] for x in written.x]
    assert np.argmax(others) == example["sample"]
    context.close()


def test_by_keyboard_alone(tab, root):
    tab.emulate_media(reduced_motion="reduce")
    open_dashboard(tab, f"{root}digits")
    tab.keyboard.press("Tab")
    tab.keyboard.type("loop")
    assert tab.locator(".tools [role=status]").inner_text() == "1 of 90 latents"
    tab.keyboard.press("ArrowDown")
    tab.locator(".head .title", has_text="Loop at the top").wait_for()
    assert "Loop at the top is shown" in tab.locator(".unseen[role=status]").inner_text()
    outline = tab.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    tab.keyboard.press("Shift+Tab")
    tab.keyboard.press("Shift+Tab")
    for _ in range(4):
        tab.keyboard.press("Backspace")
    assert tab.locator(".tools [role=status]").inner_text() == "90 of 90 latents"
    tab.keyboard.press("Tab")
    tab.keyboard.press("n")  # of "name" and "number", the first
    tab.keyboard.press("Tab")
    assert tab.locator(".list button").first.inner_text().startswith("a hook")
    tab.keyboard.press("End")
    tab.wait_for_timeout(200)
    last = title(tab)
    tab.keyboard.press("ArrowDown")  # the list goes on
    tab.wait_for_timeout(200)
    assert title(tab) != last
    assert tab.locator(".list button").count() == 48
    tab.keyboard.press("Home")
    tab.locator(".head .title", has_text="a hook").wait_for()
    tab.get_by_role("button", name="Next").focus()
    tab.keyboard.press("Enter")
    tab.locator(".head .title", has_text="Loop at the top").wait_for()
    assert tab.evaluate("() => document.activeElement.textContent") == "Next"


def test_a_latent_has_an_address(tab, root):
    tab.goto(f"{root}digits/index.html#77")
    tab.locator(".head .title", has_text="Loop at the top").wait_for()
    tab.get_by_label("Search").fill("5")
    assert tab.locator(".list button").count() > 1  # 15 and 50 among them
    tab.locator('.list [data-latent="5"]').click()
    tab.locator(".head .title", has_text="a hook").wait_for()
    assert tab.url.endswith("#5")
    tab.get_by_label("Search").fill("nothing of that kind")
    assert tab.locator(".tools [role=status]").inner_text() == "0 of 90 latents"


def test_tokens_are_shaded_by_their_activation(tab, root, written):
    open_dashboard(tab, f"{root}words")
    rows = written.activations.reshape(-1, 16)
    z = reference.encode(LANGUAGE, written.language, rows).reshape(50, 20, 20)
    tab.get_by_label("Search").fill("word7")
    (j, *_) = tab.locator(".list button").evaluate_all("all => all.map(b => +b.dataset.latent)")
    tab.locator(".list button").first.click()
    tab.locator(".head .title", has_text=f"Latent {j}").wait_for()
    about = known_of(tab)
    contexts = tab.locator(".contexts .text")
    assert contexts.count() == len(about["examples"])
    largest = z[..., j].max()
    for i, e in enumerate(about["examples"][:3]):
        window = slice(max(0, e["position"] - 12), e["position"] + 13)
        np.testing.assert_allclose(e["values"], z[e["sequence"], window, j], atol=1e-5)
        said = contexts.nth(i).evaluate("text => [...text.children].map(t => t.textContent)")
        assert said == [WORDS[t] for t in written.tokens[e["sequence"], window]]
        assert contexts.nth(i).locator("mark").inner_text() == said[e["peak"]]
        alpha = contexts.nth(i).evaluate("""text => [...text.children].map(t => {
            const colour = getComputedStyle(t).backgroundColor.match(/[\\d.]+/g);
            return colour.length > 3 ? +colour[3] : 1; })""")
        np.testing.assert_allclose(alpha, 0.55 * np.array(e["values"]) / largest, atol=0.01)


def test_without_scripts_it_says_so(browser, root):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(f"{root}digits/index.html")
    assert "needs JavaScript" in tab.locator("main").inner_text()
    context.close()


def test_only_what_is_looked_at_is_loaded(browser, root):
    context = browser.new_context(viewport=DESKTOP)
    tab, asked = context.new_page(), []
    tab.on("request", lambda r: asked.append(r.url.rpartition("/")[2]))
    open_dashboard(tab, f"{root}digits")
    assert sum(name.startswith("latents-") for name in asked) == 1
    tab.get_by_label("Sort by").select_option("number")
    tab.locator('.list [data-latent="0"]').click()
    tab.locator(".head .title", has_text="Latent 0").wait_for()
    assert sum(name.startswith("latents-") for name in asked) <= 2
    context.close()
