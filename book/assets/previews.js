// Shows what a link leads to while it is pointed at or has the focus. The previews (book/_ext/previews.py) are
// fetched with the first. Escape dismisses one; the pointer may move onto it; on a touch screen a link is a link.
(() => {
  const data = document.currentScript.src.replace(/previews\.js.*$/, "previews-data.js");
  const keyOf = (link) => link.pathname.split("/").pop() + decodeURIComponent(link.hash);
  const tip = document.createElement("div");
  Object.assign(tip, { id: "link-preview", hidden: true });
  tip.setAttribute("role", "tooltip");
  let loading, timer, shown;

  const load = () =>
    (loading ??= new Promise((done) => {
      const script = document.createElement("script");
      Object.assign(script, { src: data, onload: done });
      document.head.append(script);
    }));
  const hide = () => {
    clearTimeout(timer);
    shown?.removeAttribute("aria-describedby");
    shown = undefined;
    tip.hidden = true;
  };
  const show = async (link) => {
    await load();
    const html = window.saebookPreviews[keyOf(link)];
    if (!html || !link.matches(":hover, :focus")) return;
    hide();
    shown = link;
    tip.innerHTML = html;
    document.body.append(tip);
    tip.hidden = false;
    await window.MathJax?.typesetPromise?.([tip]);
    if (shown !== link) return;
    const { left, top, bottom } = link.getBoundingClientRect(), { width, height } = tip.getBoundingClientRect();
    const below = bottom + 6 + height < innerHeight || top < height;
    tip.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8)) + scrollX}px`;
    tip.style.top = `${(below ? bottom + 6 : top - height - 6) + scrollY}px`;
    link.setAttribute("aria-describedby", tip.id);
  };
  const later = (work, wait) => { clearTimeout(timer); timer = setTimeout(work, wait); };
  const linkOf = ({ target }) => target.closest?.("article a.internal[href]");
  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const link = linkOf(event);
    if (link && link !== shown) later(() => show(link), 250);
    else if (link || tip.contains(event.target)) clearTimeout(timer);
    else if (shown && !shown.matches(":focus-visible")) later(hide, 300);
    else if (!shown) clearTimeout(timer);
  });
  document.addEventListener("focusin", (event) => {
    const link = linkOf(event);
    if (link?.matches(":focus-visible")) show(link);
    else hide();
  });
  document.addEventListener("focusout", hide);
  document.addEventListener("keydown", ({ key }) => key === "Escape" && hide());
})();
