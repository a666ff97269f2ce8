"""Search that finds a word however it is spelled, and shows excerpts where pages are files, too.

British and American spellings have one stem, in the index and in what a reader asks for. Sphinx's
excerpts fetch the pages that were found, which a page opened from a file may not do: there,
assets/search.js takes them from a script that this extension writes.
"""

import json
import re
from pathlib import Path

from articles import article, classes
from lxml import html
from lxml.html import builder
from sphinx.search import languages
from sphinx.search.en import SearchEnglish

# What becomes of a word before it is stemmed; the same for both sides, so that no word need be one.
SPELLINGS = [
    (r"is(e[drs]?|ing|able|ations?)$", r"iz\1"),
    (r"ys(e[drs]?|ing)$", r"yz\1"),
    (r"(..)our(s?|ed|ing|al|able|hoods?)$", r"\1or\2"),
    (r"(..)tre(s?|d)$", r"\1ter\2"),
    (r"ll(ed|ing|ers?)$", r"l\1"),
    (r"^grey", "gray"),
]
SCRIPT = """;
(() => {
  const Plain = Stemmer, spellings = %s;
  Stemmer = function () {
    const plain = new Plain();
    this.stemWord = (word) => plain.stemWord(spellings.reduce(
      (word, [from, to]) => word.replace(new RegExp(from), to), word));
  };
})();
"""


def plain(word):
    for pattern, spelling in SPELLINGS:
        word = re.sub(pattern, spelling, word)
    return word


class SearchBoth(SearchEnglish):
    js_stemmer_code = SearchEnglish.js_stemmer_code + SCRIPT % json.dumps(
        [(pattern, spelling.replace("\\", "$")) for pattern, spelling in SPELLINGS]
    )

    def stem(self, word):
        return super().stem(plain(word.lower()))


def texts(page):
    """The text of an article by sections, as Sphinx's script looks for it."""
    for mark in page.xpath(
        f".//script | .//style | .//*[{classes('headerlink', 'launch-badges')}]"
    ):
        mark.drop_tree()
    shell = builder.DIV(role="main")
    for section in reversed(page.findall(".//section")):  # inner ones first
        text = " ".join(section.text_content().split())
        shell.insert(0, builder.E.section(text, id=section.get("id", "")))
        section.drop_tree()
    return html.tostring(shell, encoding="unicode")


def write_texts(app, exception):
    if exception is None and app.builder.name == "html":
        out = Path(app.outdir)
        found = {
            f"{page}.html": texts(article(out / f"{page}.html"))
            for page in sorted(app.env.found_docs)
        }
        text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
        (out / "_static" / "search-texts.js").write_text(f"saebookTexts = {text};\n", "utf8")


def add_script(app, pagename, templatename, context, doctree):
    if pagename == "search":
        app.add_js_file("search.js", defer="defer")


def setup(app):
    languages["en"] = SearchBoth
    app.connect("html-page-context", add_script)
    app.connect("build-finished", write_texts, priority=950)  # after light_pages
    return {"parallel_read_safe": True, "parallel_write_safe": True}
