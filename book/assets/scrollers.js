// The theme lets the keyboard reach what scrolls sideways, but looks only when a page is loaded or
// resized. What was folded or behind a tab then has to be looked at when it is shown.
const again = () => dispatchEvent(new Event("resize"));
document.addEventListener("toggle", again, true);
document.addEventListener("change", again);
