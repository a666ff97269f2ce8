// Lists latents and shows what is known of one: its examples, histogram, dictionary row and effects.
// data/index.js says what the list needs; data/latents-N.js and pictures beside it are read when needed.
// Files of data are scripts, saebookDashboard.data(VALUE): a page opened from a disk may not read others.
(() => {
  const AT_ONCE = 24;  // entries of the list that are made at a time
  const scripts = {};
  const load = (address) =>
    (scripts[address] ??= new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = address;
      script.onload = () => { done(script.value); script.remove(); };
      script.onerror = () => { delete scripts[address]; failed(new Error(`${address} cannot be read`)); };
      document.head.append(script);
    }));
  const data = (value) => { document.currentScript.value = value; };

  // An element with properties (data-, aria- and role as attributes) and children.
  const element = (tag, properties = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties))
      if (/^(data-|aria-|role$)/.test(name)) made.setAttribute(name, value);
      else made[name] = value;
    made.append(...children);
    return made;
  };
  const number = (value) => value === 0 ? "0" : Number(value.toPrecision(3)).toString().replace("-", "−");
  const percent = (share) => share === 0 ? "0 %" : share < 0.0001 ? "< 0.01 %" : `${Number((100 * share).toPrecision(2))} %`;
  const count = (n) => n.toLocaleString("en");
  const visible = (text) => text.replace(/\n/g, "↵").replace(/\t/g, "⇥");

  // Fills ROOT from the folder at BASE (which ends in /); LEVEL is that of the first heading.
  const mount = async (root, base, { level = 2 } = {}) => {
    const all = await load(`${base}data/index.js`);
    const n = all.density.length, part = { shown: [], latent: null, all };
    const title = (j) => all.names[j] || `Latent ${j}`;
    const alive = all.density.filter((share) => share > 0).length;
    const tile = (file, column, columns, row, rows, label) => {
      const made = element("span", { className: "tile", role: "img", "aria-label": label });
      made.style.aspectRatio = `${all.tile[1]} / ${all.tile[0]}`;
      made.style.backgroundImage = `url("${base}data/${file}.png")`;
      made.style.backgroundSize = `${100 * columns}% ${100 * rows}%`;
      made.style.backgroundPosition =
        `${columns > 1 ? (100 * column) / (columns - 1) : 0}% ${rows > 1 ? (100 * row) / (rows - 1) : 0}%`;
      return made;
    };
    const group = (j) => Math.floor(j / all.per_file);
    const size = (j) => Math.min(all.per_file, n - group(j) * all.per_file);
    const row_picture = (j, label) => tile(`rows-${group(j)}`, j % all.per_file, size(j), 0, 1, label);

    // The list
    const search = element("input", { type: "search", autocomplete: "off", spellcheck: false });
    const sort = element("select", {},
      ...[["density", "how often active"], ["largest", "largest activation"], ["name", "name"], ["number", "number"]]
        .map(([value, text]) => element("option", { value }, text)));
    const found = element("p", { className: "quiet", role: "status" });
    const list = element("ul", { className: "list", "aria-label": "Latents" });
    const more = element("button", { type: "button", className: "more" }, "Show more");
    const orders = {
      density: (a, b) => all.density[b] - all.density[a],
      largest: (a, b) => Math.abs(all.largest[b]) - Math.abs(all.largest[a]),
      name: (a, b) => !all.names[a] - !all.names[b] || all.names[a].localeCompare(all.names[b], "en", { numeric: true }),
      number: () => 0,
    };
    const entry = (j) => {
      const about = element("span", { className: "about" }, element("span", { className: "name" }, title(j)));
      if (all.words[j]) about.append(element("span", { className: "words" }, visible(all.words[j])));
      about.append(element("span", { className: "numbers" },
        all.density[j] ? `active for ${percent(all.density[j])}, up to ${number(all.largest[j])}` : "never active"));
      const button = element("button", { type: "button", "data-latent": j }, about);
      if (all.rows) {
        const picture = row_picture(j, "");
        picture.setAttribute("aria-hidden", "true");
        picture.removeAttribute("role");
        picture.removeAttribute("aria-label");
        button.prepend(picture);
      }
      if (j === part.latent) button.setAttribute("aria-current", "true");
      return element("li", {}, button);
    };
    const extend = () => {
      const from = list.children.length;
      list.append(...part.shown.slice(from, from + AT_ONCE).map(entry));
      more.hidden = list.children.length === part.shown.length;
    };
    const refresh = () => {
      const asked = search.value.trim().toLowerCase();
      part.shown = Array.from({ length: n }, (_, j) => j)
        .filter((j) => /^\d+$/.test(asked) && `${j}` === asked
          || `${all.names[j]} ${all.words[j]} latent ${j}`.toLowerCase().includes(asked))
        .sort((a, b) => orders[sort.value](a, b) || a - b);
      list.replaceChildren();
      extend();
      found.textContent = `${count(part.shown.length)} of ${count(n)} latents`;
    };
    search.addEventListener("input", refresh);
    sort.addEventListener("change", refresh);
    more.addEventListener("click", () => {
      const from = list.children.length;
      extend();
      list.children[from].firstChild.focus();
    });
    list.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) choose(+button.dataset.latent, true);
    });
    list.addEventListener("keydown", (event) => {
      const place = [...list.children].indexOf(event.target.closest("li"));
      const to = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: list.children.length - 1 }[event.key];
      if (to === undefined || place < 0) return;
      event.preventDefault();
      if (to === list.children.length) extend();
      const button = list.children[to]?.firstChild;
      button?.focus();
      if (button) choose(+button.dataset.latent);
    });
    search.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown" || !list.firstChild) return;
      event.preventDefault();
      list.firstChild.firstChild.focus();
      choose(part.shown[0]);
    });

    // One latent
    const heading = (text, className, deeper = 0) => element(`h${Math.min(6, level + deeper)}`, { className }, text);
    const said = element("p", { className: "unseen", role: "status" });
    const detail = element("div", { className: "detail" });
    const step = (by) => {
      const button = element("button", { type: "button" }, by < 0 ? "Previous" : "Next");
      const to = part.shown.indexOf(part.latent) + by;
      button.disabled = part.shown[to] === undefined || (by < 0 && to < 0);
      button.addEventListener("click", async () => {
        await choose(part.shown[to]);
        const same = [...detail.querySelectorAll(".head button")][by < 0 ? 0 : 1];
        (same.disabled ? detail.querySelector(".head button:not(:disabled)") : same)?.focus();
      });
      return button;
    };
    const histogram = (about) => {
      const most = Math.max(...about.counts), sum = about.counts.reduce((a, b) => a + b, 0);
      const width = (about.high - about.low) / about.counts.length, peak = about.counts.indexOf(most);
      const ends = [about.low, about.high].map(number);
      const from = number(about.low + peak * width), to = number(about.low + (peak + 1) * width);
      const bars = element("div", { className: "bars", role: "img",
        "aria-label": `Histogram of ${count(sum)} activations between ${ends[0]} and ${ends[1]}; most, ${count(most)}, from ${from} to ${to}` },
        ...about.counts.map((c) => {
          const bar = element("span");
          bar.style.height = `${(100 * c) / most}%`;
          return bar;
        }));
      return element("div", { className: "chart" }, bars,
        element("div", { className: "ends", "aria-hidden": "true" }, element("span", {}, ends[0]), element("span", {}, ends[1])),
        element("p", { className: "quiet" }, `${count(sum)} of ${count(all.n_samples)} ${all.unit}`));
    };
    const context = (example, limit) => {
      const text = element("span", { className: "text" });
      example.tokens.forEach((token, i) => {
        const strength = example.values[i] / limit, at_peak = i === example.peak;
        const made = element(at_peak ? "mark" : "span", {}, visible(token));
        if (strength) {
          made.style.background = `rgb(var(--${strength > 0 ? "raise" : "lower"}) / calc(var(--shade) * ${Math.abs(strength).toFixed(3)}))`;
          made.title = number(example.values[i]);
        }
        text.append(made);
      });
      return element("li", {}, element("span", { className: "value" }, element("span", { className: "unseen" }, "activation "), number(example.value)), text);
    };
    const examples = (j, about) => {
      if (all.unit === "tokens") {
        const limit = Math.max(...about.examples.flatMap((e) => e.values.map(Math.abs)));
        return element("ol", { className: "contexts" }, ...about.examples.map((e) => context(e, limit)));
      }
      return element("ol", { className: "pictures" }, ...about.examples.map((e, i) => element("li", {},
        ...(all.tile ? [tile(`examples-${group(j)}`, i, all.n_examples, j % all.per_file, size(j), `sample ${e.sample}`)] : [`sample ${e.sample}: `]),
        number(e.value))));
    };
    const effects = (about) => {
      const limit = Math.max(...about.effects.map(([, value]) => Math.abs(value))) || 1;
      const lines = about.effects.map(([name, value]) => {
        const bar = element("span");
        bar.style.width = `${(50 * Math.abs(value)) / limit}%`;
        bar.style[value < 0 ? "right" : "left"] = "50%";
        bar.style.background = `rgb(var(--${value < 0 ? "lower" : "raise"}))`;
        return element("li", {}, element("span", {}, visible(name)), element("span", { className: "track", "aria-hidden": "true" }, bar), element("span", {}, number(value)));
      });
      const half = all.all_effects ? lines.length : lines.length / 2;
      return element("div", { className: `effects ${all.all_effects ? "" : "two"}` },
        element("ol", { "aria-label": all.all_effects ? "Effect on each logit" : "Raised most" }, ...lines.slice(0, half)),
        ...(all.all_effects ? [] : [element("ol", { "aria-label": "Lowered most" }, ...lines.slice(half).reverse())]));
    };
    let turn = 0;
    const choose = async (j, scroll = false) => {
      const mine = ++turn;
      part.latent = j;
      list.querySelector("[aria-current]")?.removeAttribute("aria-current");
      list.querySelector(`[data-latent="${j}"]`)?.setAttribute("aria-current", "true");
      let about;
      try {
        about = (await load(`${base}data/latents-${group(j)}.js`))[j % all.per_file];
      } catch (error) {
        if (mine === turn) detail.replaceChildren(element("p", { role: "alert" }, `${error.message}.`));
        return;
      }
      if (mine !== turn) return;
      part.about = about;
      const summary = all.density[j]
        ? `Active for ${percent(all.density[j])} of ${all.unit}, largest activation ${number(all.largest[j])}.`
        : `Active for none of ${count(all.n_samples)} ${all.unit}.`;
      detail.replaceChildren(
        element("div", { className: "head" }, heading(title(j), "title"), step(-1), step(1)),
        element("p", { className: "quiet" }, all.names[j] ? `Latent ${j}. ` : "", summary));
      const top = element("div", { className: "top" });
      if (all.rows) top.append(row_picture(j, "its row of the dictionary: orange adds, purple takes away"));
      if (all.density[j]) top.append(histogram(about));
      if (top.firstChild) detail.append(heading(all.rows ? "Dictionary row, activations" : "Activations", "part", 1), top);
      if (about.examples.length) detail.append(heading(all.unit === "tokens" ? "Where it is most active" : "Most active for", "part", 1), examples(j, about));
      if (about.effects) detail.append(heading("Effect on logits", "part", 1), effects(about));
      said.textContent = `${title(j)} is shown. ${summary}`;
      if (location.hash !== `#${j}` && root.hasAttribute("data-saebook-dashboard")) history.replaceState(null, "", `#${j}`);
      if (scroll && detail.getBoundingClientRect().top > innerHeight - 80) detail.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    };

    root.replaceChildren(
      element("p", { className: "whole quiet" },
        `${count(n)} latents${all.kind === "none" ? "" : ` (${all.kind})`}, ${count(alive)} of them active in ${count(all.n_samples)} ${all.unit}; ` +
        `L0 ${number(all.l0)}, unexplained variance (FVU) ${number(all.fvu)}.`),
      element("div", { className: "halves" },
        element("div", { className: "side" },
          element("div", { className: "tools" },
            element("label", {}, all.words.some(Boolean) ? "Search: name, number or token" : "Search: name or number", search), element("label", {}, "Sort by", sort), found),
          list, more),
        detail),
      said);
    refresh();
    const asked = root.hasAttribute("data-saebook-dashboard") && /^#\d+$/.test(location.hash) ? +location.hash.slice(1) : -1;
    await choose(asked >= 0 && asked < n ? asked : all.opens ?? part.shown[0]);
    return part;
  };

  window.saebookDashboard = { data, mount };
  const here = document.currentScript.src.replace(/[^/]*$/, "");
  document.querySelectorAll("[data-saebook-dashboard]").forEach(async (root) => {
    try {
      root.dashboard = await mount(root, here);
    } catch (error) {
      root.append(element("p", { role: "alert" }, `${error.message}.`));
    }
  });
})();
