"""Cards of the chapters on the front page, made from the chapters themselves: none goes stale.

    ```{chapter-cards}
    theory: result 2, picture 1
    parity: result 1
    ```

A card has the chapter's title, its opening up to the first question mark, the named entry of its
summary, the minutes that it says it takes, and the named picture of those that it computes.
"""

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

LINE = re.compile(r"(\w+): result (\d+)(?:, picture (\d+))?")
MINUTES = re.compile(r"(Minutes: [^.]+)\.")


class ChapterCards(SphinxDirective):
    has_content = True

    def run(self):
        cards = []
        for line in self.content:
            found = LINE.fullmatch(line.strip())
            if found is None:
                raise self.error(f"a line must be like 'theory: result 2, picture 1', got {line!r}")
            cards.append((found[1], int(found[2]), found[3] and int(found[3])))
        return [nodes.container("", classes=["chapter-cards"], cards=cards)]


def opening(tree):
    """The first paragraph of a chapter up to its first question mark."""
    text = next(
        p for p in tree.findall(nodes.paragraph) if p.parent is tree.next_node(nodes.section)
    )
    return nodes.paragraph("", text.astext().replace("\n", " ").partition("?")[0] + "?")


def result(tree, number):
    """An entry of the summary."""
    (summary,) = (s for s in tree.findall(nodes.section) if s[0].astext() == "Summary")
    items = summary.next_node(nodes.bullet_list)
    paragraph = items[number - 1][0].deepcopy()  # Python's would copy the parents, the whole page
    for kind in (nodes.reference, addnodes.pending_xref):  # the card itself leads to the chapter
        for link in list(paragraph.findall(kind)):
            link.replace_self(nodes.inline("", link.astext()))
    paragraph["classes"] = ["result"]
    return paragraph


def minutes(tree):
    """What a chapter says of its own length, as a list of no or one paragraph."""
    texts = (p.astext().replace("\n", " ") for p in tree.findall(nodes.paragraph))
    found = next(filter(None, map(MINUTES.match, texts)), None)
    return [nodes.paragraph("", found[1] + ".", classes=["minutes"])] if found else []


def picture(tree, number):
    """A picture that a code cell of the chapter has drawn."""
    cells = (c for c in tree.findall(nodes.container) if c.get("nb_element") == "cell_code_output")
    image = [image for c in cells for image in c.findall(nodes.image)][number - 1].deepcopy()
    for name in ("width", "height"):
        image.attributes.pop(name, None)
    return image


def card(app, page, name, result_number, picture_number):
    """One card, with the chapter's title as the link that the whole card is."""
    document = f"{page.rpartition('/')[0]}/{name}".lstrip("/")
    tree = app.env.get_doctree(document)
    title = app.env.titles[document].astext()
    uri = app.builder.get_relative_uri(page, document)
    link = nodes.reference("", title, refuri=uri, internal=True)
    parts = [nodes.paragraph("", "", link, classes=["title"]), opening(tree)]
    parts.extend([result(app.env.get_doctree(document), result_number), *minutes(tree)])
    if picture_number:
        parts.insert(0, picture(tree, picture_number))
    return nodes.container("", *parts, classes=["chapter-card"])


def fill_cards(app, doctree, docname):
    for box in list(doctree.findall(nodes.container)):
        if "chapter-cards" in box["classes"] and not box.children:
            box.extend(card(app, app.config.root_doc, *chosen) for chosen in box["cards"])


def write_again(app, env):
    """The front page is made of the others, so it is written whenever one of them is."""
    return [app.config.root_doc]


def setup(app):
    app.add_directive("chapter-cards", ChapterCards)
    app.connect("doctree-resolved", fill_cards)
    app.connect("env-updated", write_again)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
