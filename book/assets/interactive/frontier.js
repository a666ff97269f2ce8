// Error against active latents: each point opens its model. The chart comes at once, a kind's pictures when
// one of its points is chosen.
saebook.parts.frontier = async (live, data) => {
  const { element, canvas, paint, slider, load, inflate } = saebook;
  const kinds = Object.keys(data.points), part = { kind: "TopK", setting: 0 };
  const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b07d00", "#56b4e9"];
  const NAMES = { L1: "λ", TopK: "k", BatchTopK: "k", JumpReLU: "λ", Gated: "λ", Matryoshka: "k" };
  const NS = "http://www.w3.org/2000/svg";
  const drawn = (name, attributes, ...inside) => {
    const made = document.createElementNS(NS, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    made.append(...inside);
    return made;
  };
  const all_points = kinds.flatMap((kind) => data.points[kind]);
  const axis = (name, from, to) => {  // logarithmic, with room for the circles
    const values = all_points.map((point) => point[name]), low = Math.min(...values) / 1.15, high = Math.max(...values) * 1.15;
    const at = (value) => from + ((to - from) * Math.log(value / low)) / Math.log(high / low);
    return [at, (ticks) => ticks.filter((tick) => tick >= low && tick <= high)];
  };
  const [x, x_ticks] = axis("l0", 45, 330), [y, y_ticks] = axis("fvu", 190, 15);
  const chart = drawn("svg", { viewBox: "0 0 340 235", role: "img",
    "aria-label": "Unexplained variance over active latents per image; choose a point below" });
  for (const l0 of x_ticks([8, 16, 32, 64, 128])) chart.append(drawn("text", { x: x(l0), y: 206, "text-anchor": "middle" }, `${l0}`));
  for (const fvu of y_ticks([0.02, 0.05, 0.1, 0.2, 0.3])) chart.append(
    drawn("line", { x1: 45, x2: 335, y1: y(fvu), y2: y(fvu), class: "rule" }),
    drawn("text", { x: 40, y: y(fvu) + 4, "text-anchor": "end" }, `${fvu}`));
  chart.append(drawn("text", { x: 190, y: 226, "text-anchor": "middle" }, "active latents per image"),
    drawn("text", { x: -100, y: 12, "text-anchor": "middle", transform: "rotate(-90)" }, "unexplained variance"));
  const dots = {};
  kinds.forEach((kind, i) => {
    const points = data.points[kind], place = points.map((p) => [x(p.l0), y(p.fvu)]);
    const sorted = [...place].sort((a, b) => a[0] - b[0]);
    chart.append(drawn("polyline", { points: sorted.join(" "), stroke: COLORS[i] }));
    dots[kind] = place.map(([cx, cy], setting) => {
      const dot = drawn("circle", { cx, cy, r: 6, fill: COLORS[i], "data-model": `${kind} ${points[setting].value}` });
      dot.addEventListener("click", () => choose(kind, setting));
      dot.addEventListener("pointerenter", () => choose(kind, setting));
      chart.append(dot);
      return dot;
    });
  });
  const radios = kinds.map((kind, i) => {
    const input = element("input", { type: "radio", name: "frontier-kind" });
    input.addEventListener("change", () => choose(kind, part.setting));
    const swatch = element("span", { className: "swatch" });
    swatch.style.background = COLORS[i];
    return element("label", {}, input, swatch, kind);
  });
  const settings = slider("setting", { min: 0, max: data.points.TopK.length - 1, value: 0 }, (s) => choose(part.kind, s));
  const title = element("p", { className: "chosen", role: "status" });
  const digit = canvas(28, 28, `a handwritten ${data.label} held back`, "ink"), redrawn = canvas(28, 28, "the same, redrawn", "ink");
  const strokes = element("ol", { className: "strokes" }), all = canvas(1, 1, "The 24 rows of the dictionary most often in use", "signed");
  const rest = element("span");
  const panel = (name, ...inside) => element("div", { className: "panel" }, element("strong", {}, name), ...inside);
  live.append(
    element("div", { className: "halves" }, chart, element("div", {},
      element("fieldset", {}, element("legend", { className: "visually-hidden" }, "Kind of sparsity"), ...radios), settings, title,
      element("div", { className: "pair" }, panel("a digit", digit), panel("redrawn", redrawn)))),
    element("p", { className: "caption-of" }, "Its code, the strongest strokes first, and how strong each is:"), strokes, rest,
    element("p", { className: "caption-of" }, "The rows of this dictionary that are used most often:"), all);

  const pictures = async (text) => Float64Array.from(new Int8Array((await inflate(text)).buffer));
  paint(digit, await pictures(data.digit), { limit: 14 });
  let turn = 0;
  const choose = async (kind, setting) => {
    if (kind === part.kind && setting === part.setting && part.code) return;
    const mine = ++turn;
    await load(`frontier-${kind}-data.js`);
    const model = saebook.data[`frontier-${kind}`][setting], point = data.points[kind][setting];
    const [rows, drawnWith, x_hat] = await Promise.all([model.dictionary, model.strokes, model.x_hat].map(pictures));
    if (mine !== turn) return;
    Object.assign(part, { kind, setting, code: model.code, l0: point.l0, fvu: point.fvu });
    kinds.forEach((name, i) => { radios[i].firstChild.checked = name === kind; });
    settings.set(setting);
    settings.querySelector("output").textContent = `${NAMES[kind]} = ${point.value}`;
    settings.input.setAttribute("aria-valuetext", `${NAMES[kind]} = ${point.value}`);
    for (const name of kinds) dots[name].forEach((dot, s) => dot.classList.toggle("chosen", name === kind && s === setting));
    chart.append(dots[kind][setting]);  // in front of the others
    title.textContent = `${kind}, ${NAMES[kind]} = ${point.value}: ${point.l0.toFixed(1)} active latents per image, ` +
      `unexplained variance ${point.fvu.toFixed(3)}`;
    paint(redrawn, x_hat, { limit: 14 });
    paint(all, rows, { columns: 12, signed: true, limit: 7 });
    const shown = drawnWith.length / 784;
    strokes.replaceChildren(...model.code.slice(0, shown).map(([j, strength], i) => {
      const picture = canvas(28, 28, `latent ${j}`, "signed"), bar = element("span", { className: "bar" });
      paint(picture, drawnWith.subarray(i * 784, (i + 1) * 784), { signed: true, limit: 7 });
      bar.style.width = `${(100 * strength) / model.code[0][1]}%`;
      return element("li", {}, picture, bar, element("span", {}, strength.toFixed(1)));
    }));
    rest.textContent = model.code.length > shown ? `and ${model.code.length - shown} more for this digit` : "";
  };
  await choose(part.kind, part.setting);
  return part;
};
