// Train one live: trainer.js in a worker on the digits of train-data.js; this file is what is seen of it.
saebook.parts.train = async (live, data) => {
  const { element, canvas, paint, limits, slider, button, inflate } = saebook;
  await saebook.load("trainer.js");
  const D = 784, M = 64, SHOWN = 8, SIDE = 28;

  // Runs in the worker: messages in are {start}, {settings, reset}, {run: steps}, {params}; out go reports.
  const inWorker = () => {
    let trainer, settings, held, left = 0, last = 0, since = 0, done = 0, speed = 0;
    const report = (extra = {}) => {
      const seen = settings.noise ? trainer.noise(held, 7) : held, { code, x_hat } = trainer.rebuild(seen);
      const d = 784, n = held.length / d, mean = new Float64Array(d);
      held.forEach((v, k) => { mean[k % d] += v / n; });
      let error = 0, all = 0, active = 0;
      held.forEach((v, k) => { error += (v - x_hat[k]) ** 2; all += (v - mean[k % d]) ** 2; });
      code.forEach((v) => { active += v > (settings.kind === "KL" ? 0.5 : 0) ? 1 / n : 0; });
      postMessage({ step: trainer.step, fvu: error / all, l0: active, rho_hat: trainer.rho_hat, speed, running: left > 0,
        W_dec: trainer.params().W_dec.slice(), seen: seen.slice(0, 8 * d), x_hat: x_hat.slice(0, 8 * d), ...extra });
      last = performance.now();
    };
    const work = () => {
      const until = performance.now() + 30;
      let terms;
      while (left > 0 && performance.now() < until) { terms = trainer.train(); left--; done++; }
      if (performance.now() - since > 500) {
        speed = (1000 * done) / (performance.now() - since);
        since = performance.now(), done = 0;
      }
      if (left <= 0 || performance.now() - last > 120) report({ terms });
      if (left > 0) setTimeout(work);
    };
    onmessage = ({ data: message }) => {
      if (message.start) {
        const { pixels, n_train } = message.start;
        held = pixels.subarray(n_train * 784);
        trainer = saebook.trainer(pixels.subarray(0, n_train * 784), 784, 64);
      }
      if (message.settings) settings = message.settings;
      if (message.reset) { left = 0; trainer.reset(settings); report(); } else if (message.settings) trainer.change(settings);
      if (message.params) postMessage({ params: structuredClone(trainer.params()) });
      if ("run" in message) {
        const idle = left <= 0;
        left = message.run;
        since = performance.now(), done = 0;
        if (idle && left > 0) work();
      }
    };
  };
  const text = `"use strict"; const saebook = {}; saebook.trainer = ${saebook.trainer}; (${inWorker})();`;
  const worker = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  const pixels = Float64Array.from(await inflate(data.digits), (v) => v / (data.levels - 1));

  const settings = { kind: "KL", rho: 0.05, beta: 3, lambda: 0.5, k: 8, rate: 0.01, noise: false, mistakes: [] };
  const part = { settings, step: 0, running: false, pixels, trainer: saebook.trainer, history: [] };
  part.params = () => new Promise((found) => {
    const listen = ({ data: { params } }) => {
      if (params) { worker.removeEventListener("message", listen); found(params); }
    };
    worker.addEventListener("message", listen);
    worker.postMessage({ params: true });
  });
  const run = (steps) => { part.running = steps > 0; named(); worker.postMessage({ run: steps }); };
  const changed = (reset = false) => {
    shownFor();
    if (reset) { part.history = []; part.first = null; part.running = false; named(); }
    worker.postMessage({ settings: { ...settings }, reset });
  };

  // Controls
  const go = button("Start", () => run(part.running ? 0 : 1e9), { className: "main" });
  const named = () => { go.textContent = part.running ? "Pause" : "Start"; };
  const rates = [-4, -1];  // powers of ten
  const sliders = {
    rho: slider("ρ, wanted mean", { min: 0.01, max: 0.5, step: 0.01, value: settings.rho }, (v) => { settings.rho = v; changed(); }),
    beta: slider("β, weight of KL", { min: 0, max: 10, step: 0.1, value: settings.beta }, (v) => { settings.beta = v; changed(); }),
    lambda: slider("λ, price of size", { min: 0, max: 2, step: 0.05, value: settings.lambda }, (v) => { settings.lambda = v; changed(); }),
    k: slider("k, latents kept", { min: 1, max: 32, value: settings.k }, (v) => { settings.k = v; changed(); }),
    rate: slider("learning rate", { min: rates[0], max: rates[1], step: 0.05, value: Math.log10(settings.rate),
      show: (v) => (10 ** v).toPrecision(2) }, (v) => { settings.rate = 10 ** v; changed(); }),
  };
  const used = { KL: ["rho", "beta"], L1: ["lambda"], TopK: ["k"] };
  const kinds = Object.keys(used).map((kind) => {
    const input = element("input", { type: "radio", name: "live-kind", checked: kind === settings.kind });
    input.addEventListener("change", () => {
      settings.kind = kind, settings.rate = kind === "KL" ? 0.01 : 0.003;
      sliders.rate.set(Math.log10(settings.rate));
      changed(true);
    });
    return element("label", {}, input, ` ${kind}`);
  });
  const noise = element("input", { type: "checkbox" });
  noise.addEventListener("change", () => {
    settings.noise = noise.checked;
    if (!noise.checked) toggle("target", false);
    changed(true);
  });
  const mistakes = {
    sample: ["KL for each image", "The penalty is taken for each image, not for the batch's mean: no latent may fire for one " +
      "image and not for another. Few fire at all, and the error stays higher."],
    mean: ["Mean beside a sum", "The error is averaged over 784 pixels, the penalty summed over 64 latents, so the penalty " +
      "weighs 784 times as much. The loss falls, and the digits turn into nearly one blur."],
    start: ["N(0, 1) start", "All weights start at size 1: most latents begin stuck at 0 or 1. Watch the many steps that it " +
      "takes to undo that."],
    target: ["Noisy target", "The network is asked for the noisy image and not the clean one. It is rewarded for redrawing " +
      "the noise, and its digits come out grey."],
  };
  const symptom = element("p", { className: "symptom", role: "status" });
  const toggle = (name, on) => {
    settings.mistakes = settings.mistakes.filter((m) => m !== name).concat(on ? [name] : []);
    toggles[name].setAttribute("aria-pressed", String(on));
  };
  const toggles = Object.fromEntries(Object.entries(mistakes).map(([name, [title]]) => [name, button(title, () => {
    toggle(name, !settings.mistakes.includes(name));
    if (settings.mistakes.includes("target")) { settings.noise = true; noise.checked = true; }
    if (settings.kind !== "KL" && settings.mistakes.includes("sample")) kinds[0].firstChild.click();
    changed(true);
    run(1e9);
  }, { "aria-pressed": "false" })]));
  const shownFor = () => {
    for (const name of ["rho", "beta", "lambda", "k"]) sliders[name].hidden = !used[settings.kind].includes(name);
    symptom.textContent = settings.mistakes.map((name) => mistakes[name][1]).join(" ");
  };

  // Views
  const atoms = canvas(8 * 29 - 1, 8 * 29 - 1, "The dictionary: what each of the 64 latents draws", "signed");
  const before = canvas(1, 1, "Eight digits held back, as the network sees them", "ink");
  const after = canvas(1, 1, "The same eight, as the network redraws them", "ink");
  const NS = "http://www.w3.org/2000/svg";
  const drawn = (name, attributes) => {
    const made = document.createElementNS(NS, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    return made;
  };
  const chart = drawn("svg", { viewBox: "0 0 300 100", preserveAspectRatio: "none", role: "img", "aria-label": "Curves over the steps" });
  const [lossLine, fvuLine] = ["loss", "fvu"].map((name) => drawn("polyline", { class: name }));
  const one = drawn("line", { x1: 0, x2: 300, y1: 20, y2: 20, class: "rule" });
  chart.append(one, lossLine, fvuLine);
  const bars = drawn("svg", { viewBox: "0 0 320 60", preserveAspectRatio: "none", role: "img", "aria-label": "Mean activation of each latent" });
  const columns = [...Array(M).keys()].map((j) => drawn("rect", { x: 5 * j, width: 4 }));
  const wanted = drawn("line", { x1: 0, x2: 320, class: "fvu" });
  bars.append(...columns, wanted);
  const [counter, lossText, fvuText, rhoText] = [0, 0, 0, 0].map(() => element("span"));
  const box = (title, ...inside) => element("div", { className: "view" }, element("strong", {}, title), ...inside);
  live.append(
    element("div", { className: "controls" }, go, button("50 steps", () => run(50)), button("Reset", () => changed(true)), counter),
    element("fieldset", {}, element("legend", {}, "Kind of sparsity"), ...kinds,
      element("label", {}, noise, " noisy input, to remove noise")),
    ...Object.values(sliders),
    element("div", { className: "mistakes", role: "group", "aria-label": "Famous mistakes" },
      element("span", {}, "Make a famous mistake:"), ...Object.values(toggles)), symptom,
    element("div", { className: "views" },
      box("The dictionary, 64 strokes", atoms),
      element("div", {},
        box("Digits held back, and what becomes of them", before, after),
        box("Curves", chart, element("p", { className: "legend" }, lossText, fvuText)),
        box("ρ̂, how active each latent is", bars, rhoText))));

  const show = ({ step, fvu, l0, rho_hat, speed, W_dec, seen, x_hat, terms, running }) => {
    Object.assign(part, { step, fvu, l0, rho_hat, speed, running: running && part.running });
    named();
    if (terms) {
      const loss = terms.error + terms.price;
      part.first ??= loss;
      part.history.push([step, loss / part.first, fvu]);
      lossText.textContent = `loss ${Number.isFinite(loss) ? loss.toPrecision(3) : "is not a number"}`;
    } else if (step === 0) lossText.textContent = "loss";
    fvuText.textContent = `unexplained variance ${fvu.toFixed(2)}; the mean image scores 1 (dotted)`;
    counter.textContent = `step ${step}` + (speed && running ? `, ${Math.round(speed)} a second` : "");
    paint(atoms, W_dec, { columns: 8, signed: true, limit: limits(W_dec) });
    paint(before, seen, { columns: SHOWN });
    paint(after, x_hat, { columns: SHOWN });
    const end = Math.max(step, 1), y = (v) => (100 - 80 * Math.min(1.25, Number.isFinite(v) ? v : 1.25)).toFixed(1);
    const line = (i) => part.history.map((p) => `${((300 * p[0]) / end).toFixed(1)},${y(p[i])}`).join(" ");
    lossLine.setAttribute("points", line(1));
    fvuLine.setAttribute("points", line(2));
    const top = settings.kind === "KL" ? Math.max(0.2, 2 * settings.rho) : 1, mean = rho_hat.reduce((s, v) => s + v / M, 0);
    columns.forEach((bar, j) => {
      const height = 60 * Math.min(1, rho_hat[j] / top);
      bar.setAttribute("y", 60 - height);
      bar.setAttribute("height", height);
    });
    for (const end of ["y1", "y2"]) wanted.setAttribute(end, 60 - (60 * settings.rho) / top);
    wanted.style.display = settings.kind === "KL" ? "" : "none";
    rhoText.textContent = settings.kind === "KL" ? `${step ? `mean ${mean.toFixed(3)}, ` : ""}wanted ρ = ${settings.rho}; ${l0.toFixed(1)} latents above ½ per image`
      : `share of images for which each latent is active; ${l0.toFixed(1)} latents per image`;
  };
  worker.addEventListener("message", ({ data: report }) => { if ("step" in report) show(report); });
  worker.postMessage({ start: { pixels, n_train: data.n_train } });
  changed(true);
  await new Promise((ready) => worker.addEventListener("message", ready, { once: true }));
  // Out of sight it rests; but the first report, of a page just opened, may come when it already runs.
  let inSight = false;
  new IntersectionObserver(([{ isIntersecting }]) => {
    if (inSight && !isIntersecting && part.running) run(0);
    inSight = isIntersecting;
  }).observe(live);
  return part;
};
