"""The interactive parts of the pages, driven as readers do; their numbers against the reference."""

import base64
import json
import re
import zlib

import numpy as np
import pytest
from PIL import Image

from experiments import strokes
from saebook import KL, L1, SAEConfig, TopK, TrainConfig, mnist, pages, parity, reference
from saebook.parameters import normalize_decoder
from tests.site.test_browser import DESKTOP, PHONE, faults_of, open_page, watch

pytestmark = pytest.mark.browser

PARTS = {
    "draw": "intro",
    "train": "training",
    "toy": "superposition",
    "frontier": "modern",
    "dashboard-strokes": "feature_extraction",
    "dashboard-activations": "interpretability",
    "dashboard-tokens": "language_model",
}  # each part with its page


def data_of(site, part):
    """What the build wrote for a part."""
    text = (site / "_static" / "interactive" / f"{part}-data.js").read_text("utf8")
    return json.loads(text.partition(" = ")[2].rstrip().removesuffix(";"))


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
    style = box.locator(".live").evaluate("live => getComputedStyle(live).borderTopStyle")
    assert style == "solid"  # of parts.css, fetched with the part
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
            # Once all of the page, for what the part does to it; test_browser looks at the rest.
            once = size is DESKTOP and theme == "light"
            assert not faults_of(tab, None if once else f".interactive.part-{part}")
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


# Train one live

KINDS = {"KL": KL(0.05, 3.0), "L1": L1(0.5), "TopK": TopK(8)}
N_STEPS = 50


def live_config(kind):
    ends = ("sigmoid", "sigmoid") if kind == "KL" else ("relu", "linear")
    norm = kind != "KL"
    return SAEConfig(784, 64, *ends, sparsity=KINDS[kind], unit_norm=norm, pre_bias=False)


# Numbers travel as text: millions of them as JSON would take minutes.
PACK = """values => { let text = ""; new Uint8Array(Float64Array.from(values).buffer).forEach(
    byte => { text += String.fromCharCode(byte); }); return btoa(text); }"""


def live_params(box):
    """The worker's parameters, in the shapes of the reference."""
    found = box.evaluate(f"""async box => Object.fromEntries(Object.entries(
        await box.interactive.params()).map(([name, values]) => [name, ({PACK})(values)]))""")
    shapes = {"W_enc": (784, 64), "b_enc": (64,), "W_dec": (64, 784), "b_dec": (784,)}
    return {name: strokes.unpack(found[name], "<f8", shape) for name, shape in shapes.items()}


def live_batches(box, n_steps=N_STEPS):
    """What the encoder sees and what it is to rebuild in each of the first steps."""
    found = box.evaluate(f"""box => {{
        const {{ pixels, settings, trainer }} = box.interactive;
        const twin = trainer(pixels.subarray(0, 2000 * 784), 784, 64);
        twin.reset(settings);
        return [...Array({n_steps}).keys()].map(step => {{
            const {{ seen, target }} = twin.batch(step);
            return [seen, target].map({PACK});
        }});
    }}""")
    for texts in found:
        yield [strokes.unpack(text, "<f8", (64, 784)) for text in texts]


def run_steps(box, n_steps=N_STEPS, button="50 steps"):
    before = box.evaluate("box => box.interactive.step")
    box.get_by_role("button", name=button).click()
    box.page.wait_for_function(
        f"box => box.interactive.step >= {before + n_steps} && !box.interactive.running",
        arg=box.element_handle(),
        timeout=120_000,
    )


def check_steps(box, config, rate, gradients):
    """Train by the part and by the reference's Adam with these gradients; compare all weights."""
    start = live_params(box)
    optimizer = reference.training.Adam(start, TrainConfig(learning_rate=rate))
    params = start
    for seen, target in live_batches(box):
        params = optimizer.step(params, gradients(params, seen, target))
        if config.unit_norm:
            params = normalize_decoder(config, params)
    run_steps(box)
    assert box.evaluate("box => box.interactive.step") == N_STEPS
    for name, found in live_params(box).items():
        assert parity.relative_difference(found, params[name]) < 1e-5, name
        assert np.abs(found - start[name]).max() > 1e-3, name


def test_it_trains_on_the_books_digits(tab, site):
    data = data_of(site, "train")
    box = start(tab, (site / "book" / "training.html").as_uri(), "train")
    pixels = strokes.unpack(box.evaluate(f"box => ({PACK})(box.interactive.pixels)"), "<f8")
    digits = mnist(dtype="uint8")
    raw = np.frombuffer(zlib.decompress(base64.b64decode(data["digits"])), "u1").reshape(-1, 784)
    np.testing.assert_allclose(np.reshape(pixels, (-1, 784)), raw / (data["levels"] - 1))
    images = np.concatenate([digits.x_train[: data["n_train"]], digits.x_val[:200]])
    assert np.abs(raw / (data["levels"] - 1) - images / 255).max() <= 0.5001 / (data["levels"] - 1)


@pytest.mark.parametrize("kind", KINDS)
def test_fifty_steps_end_at_the_weights_of_the_reference(kind, tab, address_of):
    tab.set_default_timeout(60_000)
    box = start(tab, address_of("training"), "train")
    box.get_by_label(kind, exact=True).check()
    config = live_config(kind)
    check_steps(
        box,
        config,
        0.01 if kind == "KL" else 0.003,
        lambda p, seen, x: reference.gradients(config, p, x, seen),
    )
    assert np.isfinite(box.evaluate("box => box.interactive.fvu"))


def published_gradients(mistakes):
    """Gradients of the loss with mistakes in it, by automatic differentiation."""
    import torch

    def gradients(params, seen, target):
        p = {name: torch.tensor(value, requires_grad=True) for name, value in params.items()}
        x, seen = torch.tensor(target), torch.tensor(seen)
        z = torch.sigmoid(seen @ p["W_enc"] + p["b_enc"])
        error = (torch.sigmoid(z @ p["W_dec"] + p["b_dec"]) - x) ** 2
        error = error.mean() if "mean" in mistakes else error.sum(dim=1).mean()
        rho, beta = KINDS["KL"].rho, KINDS["KL"].beta
        if "sample" in mistakes:
            z = z.clamp(1e-6, 1 - 1e-6)
            kl = z * torch.log(z / rho) + (1 - z) * torch.log((1 - z) / (1 - rho))
            price = kl.sum(dim=1).mean()
        else:
            r = z.mean(dim=0)
            kl = rho * torch.log(rho / r) + (1 - rho) * torch.log((1 - rho) / (1 - r))
            price = kl.sum()
        (error + beta * price).backward()
        return {name: value.grad.numpy() for name, value in p.items()}

    return gradients


MISTAKES = {
    "sample": "KL for each image",
    "mean": "Mean beside a sum",
    "start": "N(0, 1) start",
    "target": "Noisy target",
}


def reset(box):
    box.get_by_role("button", name="Reset").click()
    # The worker answers in turn: no report of steps made before the reset is still on its way.
    step = box.evaluate("box => box.interactive.params().then(() => box.interactive.step)")
    assert step == 0


def make_mistakes(box, mistakes):
    """Press their buttons, which start a training each, and go back to the start."""
    for name in mistakes:
        box.get_by_role("button", name=MISTAKES[name]).click()
    reset(box)


@pytest.mark.parametrize("mistakes", [*((name,) for name in MISTAKES), ("sample", "mean")])
def test_each_mistake_is_the_one_that_it_is_called(mistakes, tab, site):
    tab.set_default_timeout(60_000)
    box = start(tab, (site / "book" / "training.html").as_uri(), "train")
    make_mistakes(box, mistakes)
    first = live_params(box)
    assert ("start" in mistakes) == (0.9 < first["b_dec"].std() < 1.1)
    seen, target = next(live_batches(box, 1))
    assert (seen == target).all()
    assert ("target" in mistakes) == (target.mean() > 0.2)  # noise lifts the black background
    check_steps(box, live_config("KL"), 0.01, published_gradients(mistakes))


def test_noise_is_removed_towards_the_clean_image(tab, site):
    tab.set_default_timeout(60_000)
    box = start(tab, (site / "book" / "training.html").as_uri(), "train")
    box.get_by_label("noisy input").check()
    seen, target = next(live_batches(box, 1))
    assert seen.mean() > 0.2 > target.mean()
    config = live_config("KL")
    check_steps(box, config, 0.01, lambda p, seen, x: reference.gradients(config, p, x, seen))


def test_each_mistake_shows_its_symptom(tab, site):
    """After 200 steps, beside the same steps without it."""
    tab.set_default_timeout(120_000)
    tab.set_viewport_size({"width": 1280, "height": 1400})
    box = start(tab, (site / "book" / "training.html").as_uri(), "train")

    def after(n_steps=200):
        for _ in range(n_steps // N_STEPS):
            run_steps(box)
        return box.evaluate("({interactive: {fvu, l0}}) => [fvu, l0]")

    fvu, l0 = after()
    for name in MISTAKES:
        make_mistakes(box, [name])
        assert box.locator(".symptom").inner_text()
        if name == "target":
            box.get_by_role("button", name=MISTAKES[name]).click()  # not made: noise is removed
            reset(box)
            fvu, _ = after()
            make_mistakes(box, [name])
        wrong, active = after()
        assert wrong > 1.15 * fvu, name
        if name == "sample":
            assert active < 0.3 * l0
        if name == "mean":
            assert wrong > 0.9
        box.get_by_role("button", name=MISTAKES[name]).click()


def test_it_is_run_by_keyboard_and_touch_and_does_not_block_the_page(browser, site):
    context = browser.new_context(viewport=PHONE, has_touch=True)
    tab = context.new_page()
    box = start(tab, (site / "book" / "training.html").as_uri(), "train")
    box.get_by_role("button", name="Start", exact=True).tap()
    # A run on the page's own thread would let no timer of the page fire before its end.
    steps = tab.evaluate(
        """box => new Promise(done => {
        const seen = [];
        const tick = () => {
            seen.push(box.interactive.step);
            seen.at(-1) > 200 ? done(seen) : setTimeout(tick, 20);
        };
        tick();
    })""",
        box.element_handle(),
    )
    assert len(steps) > 3
    box.get_by_role("button", name="Pause", exact=True).focus()
    tab.keyboard.press("Enter")
    tab.wait_for_timeout(500)
    stopped = box.evaluate("box => box.interactive.step")
    tab.wait_for_timeout(500)
    assert box.evaluate("box => box.interactive.step") == stopped
    box.get_by_label("KL", exact=True).focus()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowRight")
    assert box.evaluate("box => box.interactive.settings.kind") == "TopK"
    tab.keyboard.press("Tab")
    tab.keyboard.press("Tab")
    tab.keyboard.press("ArrowRight")
    assert box.evaluate("box => box.interactive.settings.k") == 9
    run_steps(box)
    code_size = box.locator(".view").last.inner_text()
    assert "9.0 latents per image" in code_size
    context.close()


# The toy model of superposition


def finished(box):
    box.page.wait_for_function(
        "box => box.interactive.step >= 3000", arg=box.element_handle(), timeout=120_000
    )


def test_the_toy_model_is_trained_as_its_formula_says(tab, address_of, site):
    """Fifty steps against gradients by automatic differentiation and the reference's Adam."""
    import torch

    box = start(tab, address_of("superposition"), "toy")
    finished(box)
    found = box.evaluate(f"""box => {{
        const part = box.interactive;
        const copy = () => part.models.map(({{ W, b }}) => [[...W], [...b]]);
        part.reset();
        const first = copy(), samples = [];
        for (let s = 0; s < {N_STEPS}; s++) samples.push([...part.sample()]);
        part.reset();
        for (let s = 0; s < {N_STEPS}; s++) part.train();
        return {{ first, samples, last: copy() }};
    }}""")
    data = data_of(site, "toy")
    weight = torch.tensor(data["importance"], dtype=torch.float64)
    for (W, b), (W_end, b_end) in zip(found["first"], found["last"], strict=True):
        params = {"W": np.reshape(W, (5, 2)), "b": np.array(b, float)}
        optimizer = reference.training.Adam(params, TrainConfig(beta_2=0.999))
        for step, sample in enumerate(found["samples"]):
            p = {name: torch.tensor(value, requires_grad=True) for name, value in params.items()}
            x = torch.tensor(sample, dtype=torch.float64).reshape(-1, 5)
            error = weight * (x - torch.relu(x @ p["W"] @ p["W"].T + p["b"])) ** 2
            error.sum(dim=1).mean().backward()
            high, low = data["rates"]
            grads = {name: value.grad.numpy() for name, value in p.items()}
            params = optimizer.step(params, grads, high + (low - high) * step / data["steps"])
        np.testing.assert_allclose(np.reshape(W_end, (5, 2)), params["W"], atol=1e-5)
        np.testing.assert_allclose(b_end, params["b"], atol=1e-5)
        assert np.abs(np.reshape(W, (5, 2)) - params["W"]).max() > 0.05


def test_rarer_features_share_the_dimensions(tab, site):
    """From one end of the slider to the other, by keyboard; each start is named for what it is."""
    box = start(tab, (site / "book" / "superposition.html").as_uri(), "toy")
    slider = box.get_by_role("slider")
    for key, p, ruling, fewest in (("Home", 1, "right angle", 2), ("End", 0.02, "pentagon", 4)):
        slider.focus()
        tab.keyboard.press(key)
        finished(box)
        tab.wait_for_timeout(200)
        assert box.evaluate("box => box.interactive.p") == p
        models = box.evaluate("box => box.interactive.models.map(({ W }) => [...W])")
        held = []
        for W in np.reshape(models, (6, 5, 2)):
            squares, overlaps = (W**2).sum(axis=1), ((W @ W.T) ** 2).sum(axis=1)
            held.append(sorted(squares**2 / np.maximum(overlaps, 1e-12)))
        names = [item.inner_text().strip() for item in box.locator(".starts li").all()]
        exact = {"right angle": [0, 0, 0, 1, 1], "pentagon": [0.4] * 5}[ruling]
        matching = [np.abs(np.subtract(D, exact)).max() < 0.05 for D in held]
        assert [name == ruling for name in names] == matching
        assert names.count(ruling) >= fewest


# Error against active latents


def check_model(box, kind, value, site):
    """What is shown of a model is what the experiment stored of it."""
    stored = pages.results("frontier")["models"][kind][value]
    box.page.wait_for_function(
        "([box, kind, fvu]) => box.interactive.kind === kind && box.interactive.fvu === fvu",
        arg=[box.element_handle(), kind, stored["fvu"]],
    )
    words = box.locator("[role=status]").inner_text()
    assert words.startswith(f"{kind}, ")
    assert f" = {value}: {stored['l0']:.1f} active latents" in words
    assert words.endswith(f"{stored['fvu']:.3f}")
    strengths = [float(item.inner_text()) for item in box.locator(".strokes li").all()]
    assert len(strengths) == min(strokes_shown, len(stored["code"]))
    np.testing.assert_allclose(
        strengths, [v for _, v in stored["code"]][: len(strengths)], atol=0.0501
    )
    assert box.locator("circle.chosen").count() == 1


strokes_shown = 16


def test_a_point_opens_its_model_by_mouse_touch_and_keyboard(browser, address_of, site):
    context = browser.new_context(viewport=PHONE, has_touch=True)
    tab = context.new_page()
    box = start(tab, address_of("modern"), "frontier")
    check_model(box, "TopK", "16", site)
    box.locator("circle[data-model='L1 1.0']").hover()
    check_model(box, "L1", "1.0", site)
    box.locator("circle[data-model='Matryoshka 16']").tap()
    check_model(box, "Matryoshka", "16", site)
    box.get_by_role("radio", name="Matryoshka").focus()
    tab.keyboard.press("ArrowLeft")
    check_model(box, "Gated", "1.6", site)
    tab.keyboard.press("Tab")
    tab.keyboard.press("ArrowRight")
    check_model(box, "Gated", "0.8", site)
    context.close()


# The dashboards of three chapters


def shown_of(site, name):
    """What the build wrote of a dashboard: the whole, and every latent."""
    folder = site / "_static" / "dashboards" / name / "data"

    def read(path):
        return json.loads(path.read_text("ascii").partition("(")[2].rstrip().removesuffix(");"))

    files = sorted(folder.glob("latents-*.js"), key=lambda path: int(path.stem.split("-")[1]))
    return read(folder / "index.js"), [latent for path in files for latent in read(path)]


@pytest.mark.parametrize("name", ["strokes", "activations"])
def test_a_dashboard_says_of_each_latent_what_is_in_its_pictures(name, tab, address_of, site):
    whole, latents = shown_of(site, name)
    tab.emulate_media(reduced_motion="reduce")
    box = start(tab, address_of(PARTS[f"dashboard-{name}"]), f"dashboard-{name}")
    listed = box.locator(".list button").evaluate_all("all => all.map(b => +b.dataset.latent)")
    order = np.argsort(-np.array(whole["density"]), kind="stable")
    assert listed == order[: len(listed)].tolist()
    box.get_by_label("Search").focus()
    for j in order[:3]:
        tab.keyboard.press("ArrowDown")
        title = whole["names"][j] or f"Latent {j}"
        box.get_by_role("heading", name=title, exact=True).wait_for()
        assert box.locator(".pictures li").count() == len(latents[j]["examples"])
        seen = [float(text) for text in box.locator(".pictures li").all_inner_texts()]
        values = [example["value"] for example in latents[j]["examples"]]
        np.testing.assert_allclose(seen, values, rtol=6e-3)
        assert box.locator(".effects li").count() == 10
    link = box.get_by_role("link", name="This dashboard on a page of its own")
    link.click()
    tab.locator(".head .title").wait_for()
    assert tab.locator(".list button").count() == len(listed)


@pytest.mark.parametrize("name", ["strokes", "activations"])
def test_a_dashboards_numbers_and_pictures_are_of_one_data_set(name, site):
    """Counts add up to densities, and tiles are the samples that are named beside them."""
    whole, latents = shown_of(site, name)
    digits = mnist(dtype="uint8").x_val
    n = whole["n_samples"]
    assert n == len(digits)
    counts = np.array([sum(latent["counts"]) for latent in latents])
    np.testing.assert_allclose(counts / n, whole["density"], rtol=1e-6)
    assert counts.sum() / n == pytest.approx(whole["l0"], rel=1e-6)
    assert 0.05 < whole["fvu"] < 0.3
    folder = site / "_static" / "dashboards" / name / "data"
    for group in (0, 7):
        with Image.open(folder / f"examples-{group}.png") as picture:
            pixels = 255 - np.asarray(picture)
        for row in range(8):
            for column, example in enumerate(latents[8 * group + row]["examples"]):
                tile = pixels[28 * row :, 28 * column :][:28, :28]
                np.testing.assert_array_equal(tile.ravel(), digits[example["sample"]])


def test_the_tokens_of_a_dashboard_are_shaded_and_found(tab, address_of, site):
    """Each context as its data say, by keyboard; a search for a token finds what is named by it."""
    whole, latents = shown_of(site, "tokens")
    tab.emulate_media(reduced_motion="reduce")
    box = start(tab, address_of("language_model"), "dashboard-tokens")
    search = box.get_by_label("Search")
    named = [j for j, name in enumerate(whole["names"]) if name]
    assert len(named) >= 12
    for j in named[:3]:
        search.fill(whole["names"][j])
        assert box.locator(f".list button[data-latent='{j}']").count() == 1
        assert box.locator(".list button").count() < 512
    search.fill("")
    order = np.argsort(-np.array(whole["density"]), kind="stable")
    for j in order[:3]:
        tab.keyboard.press("ArrowDown")
        title = whole["names"][j] or f"Latent {j}"
        box.get_by_role("heading", name=title, exact=True).wait_for()
        lines = box.locator(".contexts .text")
        assert lines.count() == len(latents[j]["examples"]) == 12
        for line, example in zip(lines.all(), latents[j]["examples"], strict=True):
            shown = line.evaluate("""line => [...line.children].map(
                token => [token.textContent, token.title !== "", token.tagName === "MARK"])""")
            visible = [token.replace("\n", "↵").replace("\t", "⇥") for token in example["tokens"]]
            assert [text for text, *_ in shown] == visible
            assert [shaded for _, shaded, _ in shown] == [v != 0 for v in example["values"]]
            assert [peak for *_, peak in shown].index(True) == example["peak"]
        assert box.locator(".effects li").count() == 16


def test_a_dashboard_of_tokens_says_what_the_chapter_has_measured(site):
    """Of rows of test text: TopK with 16 latents, counts that add up, contexts of that text."""
    from saebook.texts import addresses, language_model

    config, _, tokenizer, _ = language_model()
    tokens = tokenizer.encode(addresses().test)[: 60 * config.context].reshape(60, -1)[:, 1:]
    whole, latents = shown_of(site, "tokens")
    assert (whole["unit"], whole["n_samples"]) == ("tokens", tokens.size)
    assert len(latents) == 512
    assert whole["l0"] == pytest.approx(16, abs=0.1)
    assert 0.1 < whole["fvu"] < 0.25
    counts = np.array([sum(latent["counts"]) for latent in latents])
    np.testing.assert_allclose(counts / tokens.size, whole["density"], rtol=1e-6)
    texts = [piece.decode("utf8", "replace") for piece in tokenizer.pieces]
    for latent in latents[::50]:
        for example in latent["examples"]:
            begin = example["position"] - example["peak"]
            row = tokens[example["sequence"], begin : begin + len(example["tokens"])]
            assert example["tokens"] == [texts[token] for token in row]
        values = [value for _, value in latent["effects"]]
        assert values == sorted(values, reverse=True)
