"""Let the single page, from which the PDF is printed, hold all that the pages hold, and link it.

Sphinx's own single page puts the chapters under the first page's last heading, and gives up on ids
that several chapters have: the links to them lead to the first one, or out of the page.
"""

from collections import defaultdict

from docutils import nodes
from sphinx import addnodes
from sphinx.builders.singlehtml import SingleFileHTMLBuilder
from sphinx.util.console import darkgreen
from sphinx.util.nodes import inline_all_toctrees


def by_chapter(tree, chapter):
    """Every element of the assembled page, with the name of the document that it comes from."""
    for node in tree.children:
        if isinstance(node, nodes.Element):
            inner = node["docname"] if isinstance(node, addnodes.start_of_file) else chapter
            yield inner, node
            yield from by_chapter(node, inner)


class BookBuilder(SingleFileHTMLBuilder):
    shared = frozenset()  # ids that occur in more than one document

    def unique(self, chapter, name):
        return f"{chapter}-{name}" if name in self.shared else name

    def get_outfilename(self, pagename):
        # The page's own addresses take it to lie at the root.
        return super().get_outfilename("index" if pagename == self.config.root_doc else pagename)

    def assemble_doctree(self):
        root = self.config.root_doc
        tree = self.env.get_doctree(root)
        tree = inline_all_toctrees(self, set(), root, tree, darkgreen, [root])
        tree["docname"] = root
        self.env.resolve_references(tree, root, self)
        for chapter in list(tree.findall(addnodes.start_of_file)):
            chapter.parent.remove(chapter)
            tree.append(chapter)  # beside the first page's section, not inside it
        tree[0]["ids"].append(f"document-{root}")  # the others have such an id from Sphinx
        self.rename(tree, root)
        self.fix_refuris(tree)
        return tree

    def rename(self, tree, root):
        """Make every id unique on the page, and let each document's own links follow."""
        chapters = defaultdict(set)
        for chapter, node in by_chapter(tree, root):
            for name in node.get("ids", ()):
                chapters[name].add(chapter)
        self.shared = {name for name, found in chapters.items() if len(found) > 1}
        seen = set()
        for chapter, node in by_chapter(tree, root):
            for key in ("ids", "backrefs"):
                if key in node:
                    node[key] = [self.unique(chapter, name) for name in node[key]]
            if "refid" in node:
                node["refid"] = self.unique(chapter, node["refid"])
            # sphinx-exercise gives all exercises of a page one id, to which nothing links.
            node["ids"] = [name for name in node["ids"] if name not in seen]
            seen.update(node["ids"])

    def fix_refuris(self, tree):
        """``#document-CHAPTER#ID`` becomes the id that this place has on the single page."""
        for node in tree.findall(nodes.reference):
            place, _, name = node.get("refuri", "").removeprefix("#document-").partition("#")
            if name and node["refuri"].startswith("#document-"):
                node["refuri"] = "#" + self.unique(place, name)

    def assemble_toc_secnumbers(self):
        return {
            self.config.root_doc: {
                f"{chapter}/" + ("#" + self.unique(chapter, key[1:]) if key else ""): number
                for chapter, numbers in self.env.toc_secnumbers.items()
                for key, number in numbers.items()
            }
        }

    def assemble_toc_fignumbers(self):
        return {
            self.config.root_doc: {
                f"{chapter}/{kind}": {self.unique(chapter, name): n for name, n in numbers.items()}
                for chapter, kinds in self.env.toc_fignumbers.items()
                for kind, numbers in kinds.items()
            }
        }


def share_handlers(app):
    """Give the single page the node handlers that extensions registered for "html".

    sphinx-exercise registers its own for "singlehtml" by name. Sphinx then takes that builder to
    have handlers of its own, and forgets the others.
    """
    handlers = app.registry.translation_handlers
    if "singlehtml" in handlers:
        handlers["singlehtml"] = {**handlers.get("html", {}), **handlers["singlehtml"]}


def setup(app):
    app.add_builder(BookBuilder, override=True)
    app.connect("builder-inited", share_handlers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
