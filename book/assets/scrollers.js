// The theme lets the keyboard reach what scrolls sideways, but looks only when a page is loaded or
// resized. What was folded or behind a tab then has to be looked at when it is shown.
const again = () => dispatchEvent(new Event("resize"));
document.addEventListener("toggle", again, true);
document.addEventListener("change", again);

// What goes on beyond its right edge says so: custom.css lets it fade out there.
const boxes = "pre, mjx-container[display], .pst-scrollable-table-container, .cell_output > .output, .cell_output figure > a";
const mark = (box) =>
  box.classList.toggle("goes-on", box.scrollLeft + box.clientWidth < box.scrollWidth - 2);
const markAll = () => document.querySelectorAll(boxes).forEach(mark);
document.addEventListener("scroll", ({ target }) => target.matches?.(boxes) && mark(target), true);
addEventListener("resize", markAll);
addEventListener("load", () => window.MathJax?.startup?.promise.then(markAll) ?? markAll());
