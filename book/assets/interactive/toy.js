// The toy model of superposition: five features through two dimensions, trained anew for each p, six starts
// at a time. x_hat = max(0, x W W' + b); the error is weighted by importance; Adam as in saebook.reference.
saebook.parts.toy = (live, data) => {
  const { element, slider, button, still } = saebook;
  const { shares, importance, steps, batch, rates, stored, n_stored } = data, N = importance.length, STARTS = 6;
  const NAMES = {
    "right angle": [1, 1, 0, 0, 0], "two pairs": [0.5, 0.5, 0.5, 0.5, 0], pentagon: [0.4, 0.4, 0.4, 0.4, 0.4],
  };
  const uniform = (seed) => () => {  // mulberry32
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const part = { p: shares[4], seed: 1, step: 0, models: [] };

  const reset = () => {
    const next = uniform(part.seed), bell = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
    part.step = 0;
    part.models = [...Array(STARTS)].map(() => ({
      W: Float64Array.from({ length: 2 * N }, () => 0.5 * bell()), b: new Float64Array(N),
      m: new Float64Array(3 * N), v: new Float64Array(3 * N),
    }));
    part.next = uniform(part.seed + 77);
  };
  // All starts see the same samples.
  part.sample = () => Float64Array.from({ length: batch * N }, () => {
    const [chance, value] = [part.next(), part.next()];
    return chance < part.p ? value : 0;
  });
  const train = () => {
    const x = part.sample(), g = new Float64Array(3 * N), o = new Float64Array(N);
    const rate = rates[0] + (rates[1] - rates[0]) * (part.step / steps);
    part.step++;
    for (const { W, b, m, v } of part.models) {
      g.fill(0);
      for (let i = 0; i < batch * N; i += N) {
        let h0 = 0, h1 = 0, u0 = 0, u1 = 0;
        for (let j = 0; j < N; j++) { h0 += x[i + j] * W[2 * j]; h1 += x[i + j] * W[2 * j + 1]; }
        for (let j = 0; j < N; j++) {
          const out = h0 * W[2 * j] + h1 * W[2 * j + 1] + b[j];
          o[j] = out > 0 ? (2 / batch) * importance[j] * (out - x[i + j]) : 0;
          u0 += o[j] * W[2 * j]; u1 += o[j] * W[2 * j + 1];
        }
        for (let j = 0; j < N; j++) {
          g[2 * j] += x[i + j] * u0 + o[j] * h0;
          g[2 * j + 1] += x[i + j] * u1 + o[j] * h1;
          g[2 * N + j] += o[j];
        }
      }
      for (let k = 0; k < 3 * N; k++) {
        m[k] = 0.9 * m[k] + 0.1 * g[k];
        v[k] = 0.999 * v[k] + 0.001 * g[k] * g[k];
        const move = (rate * m[k]) / (1 - 0.9 ** part.step) / (Math.sqrt(v[k] / (1 - 0.999 ** part.step)) + 1e-8);
        if (k < 2 * N) W[k] -= move; else b[k - 2 * N] -= move;
      }
    }
  };
  // How much of a dimension each feature has, and the name of the arrangement that this makes.
  part.dimensions = (W) => [...Array(N).keys()].map((j) => {
    const dot = (k) => W[2 * j] * W[2 * k] + W[2 * j + 1] * W[2 * k + 1];
    const all = [...Array(N).keys()].reduce((s, k) => s + dot(k) ** 2, 0);
    return dot(j) ** 2 / Math.max(all, 1e-12);
  });
  part.name = (W) => {
    const D = part.dimensions(W).sort((a, b) => b - a);
    return Object.keys(NAMES).find((name) => NAMES[name].every((value, j) => Math.abs(value - D[j]) < 0.05)) ?? "none of these";
  };

  const NS = "http://www.w3.org/2000/svg", COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a8a8a"];
  const drawn = (name, attributes) => {
    const made = document.createElementNS(NS, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    return made;
  };
  const panels = [...Array(STARTS)].map(() => {
    const svg = drawn("svg", { viewBox: "-1.4 -1.4 2.8 2.8", role: "img", "aria-label": "directions" }), title = element("span");
    const arrows = COLORS.slice(0, N).map((color) => {
      const [line, tip] = [drawn("line", { x1: 0, y1: 0, stroke: color, "stroke-width": 0.07 }), drawn("circle", { r: 0.11, fill: color })];
      svg.append(line, tip);
      return [line, tip];
    });
    return { box: element("li", {}, svg, title), svg, arrows, title };
  });
  const says = element("p", { role: "status" }), progress = element("span");
  const show = () => {
    part.models.forEach(({ W }, i) => {
      const { svg, arrows, title } = panels[i];
      arrows.forEach(([line, tip], j) => {
        for (const [shape, x, y] of [[line, "x2", "y2"], [tip, "cx", "cy"]]) {
          shape.setAttribute(x, W[2 * j]);
          shape.setAttribute(y, -W[2 * j + 1]);
        }
      });
      title.textContent = part.step < steps ? "…" : part.name(W);
      svg.setAttribute("aria-label", `start ${i + 1}: ${title.textContent}; shares of a dimension ` +
        part.dimensions(W).map((v) => v.toFixed(2)).join(", "));
    });
    progress.textContent = `step ${part.step} of ${steps}`;
    if (part.step < steps) return;
    const found = part.models.map(({ W }) => part.name(W)), at = shares.indexOf(part.p);
    const counts = [...Object.keys(NAMES), "none of these"].map((name) => [name, found.filter((f) => f === name).length]);
    says.textContent = `p = ${part.p}: ` + counts.filter(([, n]) => n).map(([name, n]) => `${name} ${n} of ${STARTS}`).join(", ") +
      `. In ${n_stored} starts of the chapter's experiment: ` +
      Object.keys(NAMES).map((name, i) => `${name} ${stored[i][at]}`).join(", ") + ".";
  };
  let frame = 0;
  const go = () => {
    clearTimeout(frame);
    reset();
    const some = () => {
      const until = performance.now() + 12;
      while (part.step < steps && performance.now() < until) train();
      if (!still() || part.step >= steps) show();
      if (part.step < steps) frame = setTimeout(some);
    };
    some();
  };
  part.reset = reset;
  part.train = train;
  live.append(
    slider("p, how often a feature is active", { min: 0, max: shares.length - 1, value: 4, show: (i) => `${shares[i]}` },
      (i) => { part.p = shares[i]; go(); }),
    element("div", { className: "controls" }, button("Other starts", () => { part.seed++; go(); }), progress),
    element("ol", { className: "starts" }, ...panels.map(({ box }) => box)), says);
  go();
  return part;
};
