// Draw a digit: a TopK autoencoder with a tied dictionary encodes it stroke by stroke. The formulas are
// those of saebook.reference; the weights are its experiment "strokes", in 8 bits.
saebook.parts.draw = (live, data) => {
  const { element, canvas, paint, limits, slider, button, percent, still } = saebook;
  const SIDE = 28, PIXELS = SIDE * SIDE, PEN = 1.1;  // half the pen's width, in pixels
  const W = Float64Array.from(new Int8Array(saebook.bytes(data.dictionary).buffer), (v) => v * data.scale);
  const [b_enc, b_dec] = [saebook.floats(data.b_enc), saebook.floats(data.b_dec)];
  const given = saebook.bytes(data.digits), n = b_enc.length, limit = limits(W);
  const state = { x: new Float64Array(PIXELS), z: new Float64Array(n), lit: [], shown: 0, x_hat: null };

  const encode = (x) => {
    const a = Float64Array.from(b_enc);
    for (let j = 0; j < n; j++) for (let c = 0; c < PIXELS; c++) a[j] += x[c] * W[j * PIXELS + c];
    const order = [...a.keys()].sort((i, j) => a[j] - a[i] || i - j).slice(0, data.k);
    const z = new Float64Array(n);
    for (const j of order) z[j] = Math.max(0, a[j]);
    return { z, lit: order.filter((j) => z[j] > 0) };
  };
  // The reconstruction from the strongest `count` strokes.
  const sum = (count) => {
    const x_hat = Float64Array.from(b_dec);
    for (const j of state.lit.slice(0, count))
      for (let c = 0; c < PIXELS; c++) x_hat[c] += state.z[j] * W[j * PIXELS + c];
    return x_hat;
  };

  // The pen's paths as pixels.
  const inked = (lines) => {
    const x = new Float64Array(PIXELS), reach = PEN + 1;
    for (const line of lines) line.forEach(([u1, v1], i) => {
      const [u0, v0] = line[Math.max(0, i - 1)], [du, dv] = [u1 - u0, v1 - v0], length = du * du + dv * dv;
      const [top, bottom] = [Math.min(v0, v1) - reach, Math.max(v0, v1) + reach];
      const [first, last] = [Math.min(u0, u1) - reach, Math.max(u0, u1) + reach];
      for (let r = Math.max(0, Math.floor(top)); r <= Math.min(SIDE - 1, bottom); r++)
        for (let c = Math.max(0, Math.floor(first)); c <= Math.min(SIDE - 1, last); c++) {
          const [u, v] = [c + 0.5, r + 0.5];
          const t = length ? Math.max(0, Math.min(1, ((u - u0) * du + (v - v0) * dv) / length)) : 0;
          const ink = Math.max(0, Math.min(1, PEN + 0.5 - Math.hypot(u - u0 - t * du, v - v0 - t * dv)));
          x[r * SIDE + c] = Math.max(x[r * SIDE + c], ink);
        }
    });
    return x;
  };
  // Moved to the middle, and made no taller or wider than 20 pixels, as MNIST's digits are.
  const centred = (lines) => {
    const points = lines.flat();
    const [left, top] = [0, 1].map((i) => Math.min(...points.map((p) => p[i])));
    const [right, bottom] = [0, 1].map((i) => Math.max(...points.map((p) => p[i])));
    const scale = Math.min(1, (20 - 2 * PEN) / Math.max(right - left, bottom - top, 1));
    const middle = [(left + right) / 2, (top + bottom) / 2];
    return lines.map((line) => line.map((p) => p.map((v, i) => SIDE / 2 + scale * (v - middle[i]))));
  };

  // What is on the page
  const pad = element("canvas", { width: SIDE, height: SIDE, className: "ink pad", role: "img",
    "aria-label": "Your drawing. Draw here with a mouse, a finger or a pen, or choose a digit below." });
  const total = canvas(SIDE, SIDE, "The sum of the strokes", "ink");
  const left = canvas(SIDE, SIDE, "What is left over", "signed");
  const totalText = element("span"), leftText = element("span");
  const says = element("p", { className: "visually-hidden", role: "status" });
  const strokes = element("ol", { className: "strokes" });
  const all = canvas(SIDE, SIDE, "", "signed");
  const marks = element("canvas", { className: "marks", "aria-hidden": "true" });
  const shown = slider("strokes in the sum", { min: 0, max: data.k, value: data.k }, (count) => { stop(); show(count); });
  const digits = [...Array(10).keys()].map((label) => {
    const picture = element("canvas", { className: "ink", "aria-hidden": "true" });
    paint(picture, Float64Array.from(given.subarray(label * PIXELS, (label + 1) * PIXELS), (v) => v / 255));
    const choose = button("", () => { choice(label); }, { "aria-label": `a handwritten ${label}`, "aria-pressed": "false" });
    choose.append(picture);
    return choose;
  });
  const part = (name, ...inside) => element("div", { className: "panel" }, element("strong", {}, name), ...inside);
  const sign = (text) => element("span", { className: "sign", "aria-hidden": "true" }, text);
  live.append(
    element("div", { className: "equation" },
      part("Draw a digit here", pad, button("Clear", () => { lines = []; pressed(-1); update(); })),
      sign("="), part("the sum of a few strokes", total, totalText), sign("+"), part("what is left over", left, leftText)),
    element("div", { className: "given", role: "group", "aria-label": "or choose a digit" },
      element("span", {}, "or choose one:"), ...digits),
    shown,
    element("p", { className: "caption-of" }, "The strokes that light up, the strongest first, and how strongly:"),
    strokes,
    element("p", { className: "caption-of" },
      `They are chosen from these ${n}, which the network found by itself. Orange adds ink, purple takes it away. ` +
      `(${data.dead} lit up for none of 5,000 digits held back, and are still the noise that they began as.)`),
    element("div", { className: "dictionary" }, all, marks), says);
  const columns = innerWidth < 600 ? 8 : 16, rows = n / columns;
  paint(all, W, { columns, signed: true, limit });
  Object.assign(marks, { width: columns * 29 - 1, height: rows * 29 - 1 });

  const show = (count) => {
    state.shown = count;
    state.x_hat = sum(count);
    const rest = state.x.map((v, c) => v - state.x_hat[c]);
    const size = (v) => v.reduce((s, u) => s + u * u, 0), empty = !size(state.x);
    state.left = empty ? null : size(rest) / size(state.x);
    paint(total, empty ? new Float64Array(PIXELS) : state.x_hat);
    paint(left, empty ? new Float64Array(PIXELS) : rest, { signed: true });
    shown.set(count);
    totalText.textContent = empty ? "" : `${count} of ${n} strokes`;
    leftText.textContent = empty ? "" : `${percent(state.left)} of the squared ink`;
    [...strokes.children].forEach((item, i) => item.classList.toggle("added", i < count));
    const context = marks.getContext("2d");
    context.clearRect(0, 0, marks.width, marks.height);
    Object.assign(context, { lineWidth: 3, strokeStyle: "#0072b2" });
    if (!empty) state.lit.forEach((j) => context.strokeRect((j % columns) * 29 + 1, Math.floor(j / columns) * 29 + 1, 26, 26));
  };
  let timer = 0;
  const stop = () => { clearInterval(timer); timer = 0; };
  const say = () => {
    all.setAttribute("aria-label", `The dictionary: ${n} strokes, of which ${state.lit.length} are lit.`);
    says.textContent = state.left === null ? "Nothing is drawn."
      : `${state.lit.length} of ${n} strokes light up; ${percent(state.left)} of the squared ink is left over.`;
  };
  // Encode what is drawn; the sum then grows stroke by stroke unless the pen is down or motion is unwelcome.
  const update = (grow = false) => {
    stop();
    Object.assign(state, encode(state.x = fixed ?? inked(centred(lines))));
    paint(pad, fixed ?? inked(lines));
    strokes.replaceChildren(...(state.x.some((v) => v) ? state.lit : []).map((j) => {
      const picture = canvas(SIDE, SIDE, `stroke ${j}`, "signed");
      paint(picture, W.subarray(j * PIXELS, (j + 1) * PIXELS), { signed: true, limit: limit[j] });
      const bar = element("span", { className: "bar" });
      bar.style.width = `${(100 * state.z[j]) / state.z[state.lit[0]]}%`;
      return element("li", {}, picture, bar, element("span", {}, state.z[j].toFixed(1)));
    }));
    shown.input.max = state.lit.length;
    show(state.lit.length);
    say();
    if (!grow || still() || state.left === null) return;
    show(0);
    timer = setInterval(() => { show(state.shown + 1); if (state.shown >= state.lit.length) stop(); }, 220);
  };
  const pressed = (label) => digits.forEach((b, i) => b.setAttribute("aria-pressed", String(i === label)));
  let lines = [], fixed = null;
  const choice = (label) => {
    fixed = Float64Array.from(given.subarray(label * PIXELS, (label + 1) * PIXELS), (v) => v / 255);
    lines = [];
    pressed(label);
    update(true);
  };
  const at = (event) => {
    const { left: x, top: y, width, height } = pad.getBoundingClientRect();
    return [((event.clientX - x) / width) * SIDE, ((event.clientY - y) / height) * SIDE];
  };
  pad.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    pad.setPointerCapture(event.pointerId);
    fixed = null;
    pressed(-1);
    lines.push([at(event)]);
    update();
  });
  pad.addEventListener("pointermove", (event) => {
    if (!pad.hasPointerCapture(event.pointerId)) return;
    lines.at(-1).push(at(event));
    update();
  });
  pad.addEventListener("lostpointercapture", () => update(true));
  choice(3);
  return state;
};
