// Starts the interactive parts of a page: each when it comes into view, its script, styles and data not before.
// A part is a box of class "interactive part-NAME" around a figure; NAME.js registers saebook.parts.NAME,
// a function of the box that builds what takes the figure's place, and NAME-data.js fills saebook.data.NAME.
// NAME may be SCRIPT-SUBJECT, of a script that finds what it needs by itself: the function gets the subject.
// What a part knows it leaves in box.interactive, where the tests look.
(() => {
  const here = document.currentScript.src.replace(/parts\.js.*$/, "");
  const files = {};
  const load = (file) =>
    (files[file] ??= new Promise((done, failed) => {
      const [tag, source] = file.endsWith(".css")
        ? ["link", { rel: "stylesheet", href: here + file }] : ["script", { src: here + file }];
      document.head.append(Object.assign(document.createElement(tag), source, { onload: done, onerror: failed }));
    }));

  // An element with properties (data-, aria- and role as attributes) and children.
  const element = (tag, properties = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties))
      if (/^(data-|aria-|role$|for$)/.test(name)) made.setAttribute(name, value);
      else made[name] = value;
    made.append(...children);
    return made;
  };

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const inflate = async (text) => {  // what zlib has packed
    const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };
  const floats = (text) => Float64Array.from(new Float32Array(bytes(text).buffer));

  // Pictures of SIDE by SIDE pixels on a canvas. Ink is black, lighter the less there is of it; what is
  // signed is orange where it adds ink and purple where it takes some away. parts.css turns ink white in the dark.
  const canvas = (width, height, label, className = "") =>
    element("canvas", { width, height, className, role: "img", "aria-label": label });
  const paint = (target, values, { side = 28, columns = 1, signed = false, limit = 1, gap = 1 } = {}) => {
    const count = values.length / (side * side), step = side + gap;
    const width = columns * step - gap, height = Math.ceil(count / columns) * step - gap;
    if (target.width !== width || target.height !== height) Object.assign(target, { width, height });
    const context = target.getContext("2d"), image = context.createImageData(width, height);
    for (let i = 0; i < values.length; i++) {
      const tile = Math.floor(i / (side * side)), pixel = i % (side * side);
      const x = (tile % columns) * step + (pixel % side);
      const y = Math.floor(tile / columns) * step + Math.floor(pixel / side);
      const strength = values[i] / (typeof limit === "number" ? limit : limit[tile] || 1);
      const color = !signed ? [0, 0, 0] : strength > 0 ? [214, 104, 0] : [128, 82, 214];
      const ink = signed ? Math.abs(strength) : Math.max(0, strength);
      image.data.set([...color, Math.round(255 * Math.min(1, ink))], 4 * (y * width + x));
    }
    context.putImageData(image, 0, 0);
  };
  // The largest size of a value in each picture.
  const limits = (values, pixels = 784) => {
    const found = new Float64Array(values.length / pixels);
    values.forEach((v, i) => {
      const tile = Math.floor(i / pixels);
      found[tile] = Math.max(found[tile], Math.abs(v));
    });
    return found;
  };

  // A slider with its name and its value: show(value) says it in words.
  const slider = (name, { min, max, step = 1, value, show = String }, changed) => {
    const output = element("output", {}, show(value));
    const input = element("input", { type: "range", min, max, step, value });
    input.setAttribute("aria-valuetext", show(value));
    const set = (v) => {
      input.value = v;
      output.textContent = show(+input.value);
      input.setAttribute("aria-valuetext", show(+input.value));
    };
    input.addEventListener("input", () => { set(input.value); changed(+input.value); });
    const box = element("label", { className: "slider" }, element("span", {}, name), input, output);
    return Object.assign(box, { set, input });
  };
  const button = (text, clicked, properties = {}) =>
    element("button", { type: "button", onclick: clicked, textContent: text, ...properties });
  const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
  const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  window.saebook = {
    parts: {}, data: {}, here, load, element, bytes, inflate, floats, canvas, paint, limits, slider, button, percent, still,
  };

  const start = async (box) => {
    const [name, subject] = [...box.classList].find((c) => c.startsWith("part-")).slice(5).split("-");
    try {
      await Promise.all([load("parts.css"), load(`${name}.js`), subject ? null : load(`${name}-data.js`)]);
      const live = element("div", { className: "live" });
      box.interactive = await saebook.parts[name](live, subject ?? saebook.data[name]);
      box.querySelector("figure > :is(img, a)").after(live);
      box.classList.add("started");
    } catch (error) {
      console.error(error);  // the figure stays
    }
  };
  if (matchMedia("print").matches) return;
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries)
      if (isIntersecting) { seen.unobserve(target); start(target); }
  }, { rootMargin: "200px" });
  document.querySelectorAll(".interactive").forEach((box) => seen.observe(box));
})();
