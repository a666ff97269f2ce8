"""The book's MyST Markdown as plain Markdown, which Colab, Jupyter and GitHub can all draw.

Blocks (directives, labelled equations, targets, comments) are found by MyST's own parser, since
they nest; roles and links by one regular expression, since the parser does not say where in a line
they stand. Numbers of exercises, figures and equations are those of the site. Whatever has no plain
form here is an error, so that no reader meets raw MyST.
"""

import os
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import yaml
from markdown_it.renderer import RendererHTML
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser
from pybtex.database import parse_file

BOXES = {"attention", "caution", "danger", "error", "hint", "important", "note", "tip", "warning"}
TITLED_BOXES = {"admonition", "dropdown"}
NOT_SHOWN = {"bibliography", "exercise-end", "solution-end"}
NUMBERED = {
    "exercise": "Exercise",
    "exercise-start": "Exercise",
    "figure": "Fig.",
    "interactive": "Fig.",
    "table": "Table",
    "list-table": "Table",
}
CODE_ROLES = {"attr", "class", "data", "exc", "func", "meth", "mod", "obj"}

# Code, fenced or inline, is matched so that it is left alone.
INLINE = re.compile(
    r"^(?P<fence>`{3,}|~{3,})[^\n]*\n.*?^(?P=fence)`*[ ]*$"
    r"|\{(?P<role>[\w:]+)\}(?P<ticks>`+)(?P<text>.+?)(?<!`)(?P=ticks)(?!`)"
    r"|(?P<code>`+)(?!`).+?(?<!`)(?P=code)(?!`)"
    r"|(?P<image>!?)\[(?P<label>[^\]\n]*)\]\((?P<url>[^)\s]+)\)",
    re.DOTALL | re.MULTILINE,
)


class Target(NamedTuple):
    """What a label names: the page that holds it, its anchor there, and what a reference shows."""

    page: str
    anchor: str
    text: str


class Directive(NamedTuple):
    """The parts of a MyST directive."""

    name: str
    argument: str
    options: dict
    body: str

    @property
    def label(self):
        return self.options.get("label") or self.options.get("name")


def parse_directive(token):
    """The directive that a fence is, None for an ordinary code block and all else."""
    if token.type not in ("fence", "colon_fence"):
        return None
    head = re.fullmatch(r"\{([\w:-]+)\}\s*(.*)", token.info.strip())
    if head is None:
        return None
    options, lines = {}, token.content.strip("\n").splitlines()
    while lines and (option := re.match(r":([\w-]+):\s*(.*)", lines[0])):
        options[option[1]] = option[2].strip()
        del lines[0]
    return Directive(head[1], head[2], options, "\n".join(lines).strip("\n"))


def pipe_table(body):
    """The rows of a list-table directive as a Markdown table."""
    rows = re.split(r"^\* ", body, flags=re.MULTILINE)[1:]
    rows = [re.split(r"^ *- ", row, flags=re.MULTILINE)[1:] for row in rows]
    lines = ["| " + " | ".join(" ".join(cell.split()) for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


class Book:
    """The pages and labels of the book in a folder, and how to say them in plain Markdown."""

    def __init__(self, root):
        self.root = Path(root)
        config = yaml.safe_load((self.root / "_config.yml").read_text("utf8"))
        self.repository = config["repository"]["url"]
        self.branch = config["repository"]["branch"]
        self.site = config["html"]["baseurl"].rstrip("/")
        extensions = set(config["parse"]["myst_enable_extensions"])
        self.markdown = create_md_parser(MdParserConfig(enable_extensions=extensions), RendererHTML)
        self.sources = parse_file(str(self.root / config["bibtex_bibfiles"][0])).entries

        toc = yaml.safe_load((self.root / "_toc.yml").read_text("utf8"))
        self.chapters, pages = [], [toc["root"]]
        for part in toc["parts"]:
            files = [chapter["file"] for chapter in part["chapters"]]
            files = [file for file in files if self.path(file).exists()]
            pages.extend(files)
            if "numbered" in part:
                self.chapters.extend(files)
        self.targets = {}
        for page in pages:
            self.collect_targets(page)

    def path(self, page):
        return self.root / f"{page}.md"

    def collect_targets(self, page):
        """Note the labels of a page, with the numbers that Sphinx gives to what they name."""
        text = re.sub(r"\A---\n.*?\n---\n", "", self.path(page).read_text("utf8"), flags=re.DOTALL)
        chapter = f"{self.chapters.index(page) + 1}." if page in self.chapters else ""
        counts, labels = Counter(), []

        def count(kind):
            counts[kind] += 1
            return f"{chapter}{counts[kind]}"

        def add_equation(label):
            self.targets[label] = Target(page, f"equation-{label}", f"({count('equation')})")

        tokens = self.markdown.parse(text)
        for token, following in zip(tokens, [*tokens[1:], None], strict=True):
            directive = parse_directive(token)
            if token.type == "myst_target":
                labels.append(token.content)
            elif token.type == "heading_open":
                title = re.sub(r"\{[\w:]+\}(?=`)|[`*]", "", following.content)
                self.targets.setdefault(page, Target(page, "", title))
                self.targets.update({label: Target(page, label, title) for label in labels})
                labels.clear()
            elif token.type == "math_block_label":
                add_equation(token.info)
            elif directive and directive.name == "math" and directive.label:
                add_equation(directive.label)
            elif directive and directive.name == "code-cell":
                if "pages.show(" in directive.body and "caption=" in directive.body:
                    count("Fig.")
                if "table(" in directive.body and "caption=" in directive.body.split("table(")[-1]:
                    count("Table")
            elif directive and directive.name in NUMBERED:
                kind = NUMBERED[directive.name]
                text = f"{kind} {count(kind)}"
                self.targets[directive.label] = Target(page, directive.label, text)

    def target(self, label, page):
        if label not in self.targets:
            raise ValueError(f"{page}.md: unknown label {label}")
        return self.targets[label]

    def convert(self, text, page):
        """MyST Markdown of a page as plain Markdown."""

        def inline(match):
            if match["role"]:
                return self.role(match["role"], " ".join(match["text"].split()), page)
            if match["url"]:
                return self.link(match, page)
            return match[0]

        return INLINE.sub(inline, self.blocks(text, page)).strip("\n")

    # Blocks

    def blocks(self, text, page):
        """Replace, from the last to the first, the lines of every block that is MyST's own."""
        lines = text.splitlines()
        for token in reversed(self.markdown.parse(text)):
            directive = parse_directive(token)
            if directive:
                new = self.directive(directive, page)
            elif token.type == "math_block_label":
                new = self.equation(token.content, token.info)
            elif token.type in ("myst_target", "myst_line_comment", "myst_block_break"):
                new = ""
            else:
                continue
            start, end = token.map
            indent = re.match(r"[\s>]*", lines[start])[0]
            lines[start:end] = [(indent + line).rstrip() for line in new.splitlines()]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")

    def equation(self, formula, label):
        tag = f"\n\\tag{{{self.targets[label].text[1:-1]}}}" if label else ""
        return f"$$\n{formula.strip()}{tag}\n$$"

    def directive(self, directive, page):
        name, argument, options, body = directive
        if name in NOT_SHOWN:
            return ""
        if name in BOXES | TITLED_BOXES:
            if name in BOXES:  # what stands after the name is the first line of the text
                argument, body = name.capitalize(), f"{argument}\n{body}".strip("\n")
            content = f"**{argument}**\n\n{self.blocks(body, page)}"
            return "\n".join(f"> {line}".rstrip() for line in content.splitlines())
        if name in ("exercise", "exercise-start"):
            title = self.target(directive.label, page).text + (f" ({argument})" if argument else "")
            return f"**{title}**\n\n{self.blocks(body, page)}"
        if name in ("solution", "solution-start"):
            title = f"Solution to {self.target(argument, page).text}"
            return f"**{title}**\n\n{self.blocks(body, page)}"
        if name == "math":
            return self.equation(body, directive.label)
        if name in ("figure", "image", "interactive"):
            number = f"{self.target(directive.label, page).text}. " if directive.label else ""
            caption = f"\n\n*{number}{' '.join(body.split())}*" if body else ""
            if name == "interactive":  # of which a notebook has the picture
                caption += f" [On the site it can be touched.]({self.site}/{page}.html)"
            return f"![{options['alt']}]({self.file_url(argument, page)}){caption}"
        if name in ("table", "list-table"):
            rows = pipe_table(body) if name == "list-table" else body
            return f"**{argument}**\n\n{rows}" if argument else rows
        if name in ("code", "code-block"):
            return f"```{argument}\n{body}\n```"
        raise ValueError(f"{page}.md: no plain Markdown for the directive {{{name}}}")

    # Roles and links

    def role(self, name, text, page):
        if name == "math":
            return f"${text}$"
        if name == "cite:t":
            return ", ".join(self.citation(key, "{} ({})") for key in text.split(","))
        if name in ("cite", "cite:p"):
            return f"({'; '.join(self.citation(key, '{}, {}') for key in text.split(','))})"
        if name in ("doc", "eq", "numref", "ref"):
            explicit = re.fullmatch(r"(.*?)\s*<(.+)>", text)
            title, label = explicit.groups() if explicit else ("", text)
            if name == "doc":
                label = os.path.normpath(Path(page).parent / label)
            return self.reference(label, title, page)
        if name.removeprefix("py:") in CODE_ROLES:
            return f"`{text.rsplit('.', 1)[-1] if text.startswith('~') else text}`"
        raise ValueError(f"{page}.md: no plain Markdown for the role {{{name}}}")

    def reference(self, label, title, page):
        """A link to the site; plain text for what is in the same notebook, which has no anchors."""
        target = self.target(label, page)
        number = target.text.split()[-1]
        title = title.replace("%s", number).replace("{number}", number) or target.text
        if target.page == page:
            return title
        anchor = "#" + re.sub(r"[^a-z0-9]+", "-", target.anchor.lower()) if target.anchor else ""
        return f"[{title}]({self.site}/{target.page}.html{anchor})"

    def link(self, match, page):
        title, url = match["label"], urlsplit(match["url"])
        if url.scheme:
            return match[0]
        if match["image"]:
            return f"![{title}]({self.file_url(url.path, page)})"
        if url.fragment:
            return self.reference(url.fragment, title, page)
        name = os.path.normpath(Path(page).parent / url.path).removesuffix(".md")
        if name in self.targets:
            return self.reference(name, title, page)
        return f"[{title}]({self.file_url(url.path, page)})"

    def file_url(self, file, page):
        """A file of the repository, as the web serves it."""
        path = os.path.normpath(Path(page).parent / file)
        if not (self.root / path).exists():
            raise ValueError(f"{page}.md: no file {file}")
        return f"{self.repository}/raw/{self.branch}/{path}"

    def citation(self, key, form):
        """Authors and year, linked to the work itself where it is on the web."""
        source = self.sources[key.strip()]
        people = source.persons["author"]
        names = [" ".join(person.prelast_names + person.last_names) for person in people]
        authors = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
        fields = source.fields
        if "doi" in fields:
            url = f"https://doi.org/{fields['doi']}"
        elif "eprint" in fields:
            url = f"https://arxiv.org/abs/{fields['eprint']}"
        else:
            url = fields.get("url", f"{self.site}/book/bibliography.html")
        return f"[{form.format(authors, fields['year'])}]({url})"
