// Sphinx's search shows an excerpt of each page that it finds, and fetches the page for that. A page
// opened from a file may not fetch others, but load a script: the build writes all texts as one.
if (location.protocol === "file:") {
  const texts = new Promise((resolve) => {
    const script = document.createElement("script");
    script.src = "_static/search-texts.js";
    script.onload = () => resolve(saebookTexts);
    document.head.append(script);
  });
  window.fetch = async (address) => {
    const page = new URL(address, location).href.slice(new URL(".", location).href.length);
    return new Response((await texts)[page.replace(/[?#].*/, "")] ?? "");
  };
}
