"""The notebooks say what the chapters say, in Markdown that every notebook viewer can draw."""

import re
import sys
from pathlib import Path

import nbformat
import pytest

import saebook
from saebook.pages import results

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from export_notebooks import convert, execute, out_of_date  # noqa: E402
from plain_markdown import Book  # noqa: E402

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MYST = re.compile(
    r"\{[\w:-]+\}`|^[ >]*[`:]{3,}\{|^\([\w-]+\)=$|^% |\$\$ *\([\w-]+\)$", re.MULTILINE
)


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def test_notebooks_are_up_to_date():
    assert NOTEBOOKS
    assert [
        f"{path.name} {why}: run `make notebooks`" for path, why in out_of_date(Book(ROOT))
    ] == []


def test_each_was_tried_in_the_memory_that_binder_gives():
    tried = results("environments")
    assert [*tried] == [path.stem for path in NOTEBOOKS], "run `make environments`"
    assert max(figures["peak_bytes"] for figures in tried.values()) < 1.6e9  # JupyterLab needs some


def test_no_myst_is_left(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            prose = re.sub(r"^(`{3,}).*?^\1$", "", cell.source, flags=re.DOTALL | re.MULTILINE)
            assert not MYST.search(prose), cell.source


def test_outputs_are_text_without_paths_of_a_machine(notebook):
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert not [mime for mime in output.get("data", {}) if mime.startswith("image/")]
            paths = (
                rf"{re.escape(str(ROOT))}|/(home|root|tmp|opt|usr|Users)/|site-packages|[A-Z]:\\"
            )
            assert not re.search(paths, str(output)), output


def test_no_output_has_a_log_with_the_time_of_day(notebook):
    log = r"^[IWEF]\d{4} \d\d:\d\d:\d\d|absl::InitializeLog|\d\d:\d\d:\d\d\.\d"
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert not re.search(log, output.get("text", ""), re.MULTILINE), output


# A number says more than that it is above a bound; the bound is asserted in a cell that is folded.
VERDICT = re.compile(r"\b(True|False|[Yy]es)\b|(?:[:?=]|  ) *[Nn]o\b(?! [a-z])")
VERDICTS_MEANT: dict[str, str] = {}  # a line in which the value itself is the lesson: why


def verdicts(cells):
    """The lines of output, in the order of the cells, that print a verdict for a number."""
    return [
        line
        for cell in cells
        for output in cell.get("outputs", [])
        for text in (output.get("text", ""), *output.get("data", {}).values())
        for line in text.splitlines()
        if VERDICT.search(line) and line not in VERDICTS_MEANT
    ]


def test_numbers_are_printed_and_not_verdicts(notebook):
    assert verdicts(notebook.cells) == []


@pytest.mark.parametrize(
    "line", ["all within 1e-5? True", "twice that: no  detected", "x = no", "Yes"]
)
def test_a_verdict_is_seen(line):
    kinds = {"text": f"before\n{line}\n"}, {"data": {"text/plain": line}}
    assert [*map(verdicts, ([{"outputs": [output]}] for output in kinds))] == [[line]] * 2
    assert (
        verdicts([{"outputs": [{"text": "- no schedule that: grows\nNot installed\nknown"}]}]) == []
    )


def test_what_nbval_does_not_compare_has_a_reason(notebook):
    """``:varies:`` beside the tag, and a tag only where there is something to compare."""
    for cell in notebook.cells:
        ignored = "nbval-ignore-output" in cell.metadata.get("tags", [])
        assert ignored == ("varies" in cell.metadata), cell.source
        if ignored:
            assert len(cell.metadata.varies.split()) >= 4, cell.source
            assert cell.outputs or "only where" in cell.metadata.varies, cell.source


def test_every_cell_was_run_and_has_an_id_of_its_own(notebook):
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


def test_the_first_cell_installs_this_version_on_colab_only(notebook):
    source = notebook.cells[0].source
    assert 'if "google.colab" in sys.modules:\n    %pip install' in source
    # A tag: what a branch holds changes, and a notebook that was published would stop working.
    assert f'git+{Book(ROOT).repository}@v{saebook.__version__}"' in source


# The conversion, on a book of one chapter

CHAPTER = r"""---
kernelspec:
  name: python3
  display_name: Python 3
---

(one)=
# The *first* chapter

$$
a^2
$$ (eq-square)

```{exercise} Square
:label: ex-square
Compute {eq}`eq-square`.
```

```{exercise}
:label: ex-next
Go on.
```

```{code-cell} python
:tags: [tab-torch]
1 + 1
```

```{code-cell} python
import matplotlib.pyplot as plt
from IPython.display import display

figure, axes = plt.subplots()
plt.close(figure)
display(figure, metadata={"image/png": {"alt": "empty axes"}})
```
"""


@pytest.fixture
def book(tmp_path):
    (tmp_path / "_config.yml").write_text(
        "repository: {url: 'https://example.org/owner/name', branch: main}\n"
        "html: {baseurl: 'https://owner.github.io/name/'}\n"
        "parse: {myst_enable_extensions: [amsmath, colon_fence, dollarmath]}\n"
        "bibtex_bibfiles: [book/references.bib]\n"
    )
    (tmp_path / "_toc.yml").write_text(
        "root: book/intro\nparts: [{numbered: 1, chapters: [{file: book/one}]}]\n"
    )
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "intro.md").write_text("(start)=\n# Welcome\n")
    (tmp_path / "book" / "one.md").write_text(CHAPTER)
    (tmp_path / "book" / "picture.svg").write_text("<svg/>")
    (tmp_path / "book" / "references.bib").write_text(
        "@misc{doe2000some, author={Doe, Jane and Roe, Richard}, title={Some}, year={2000}, "
        "eprint={0001.00001}}\n"
        "@misc{many2001, author={A, B and C, D and E, F}, title={More}, year={2001}, "
        "doi={10.1/x}}\n"
    )
    return Book(tmp_path)


SITE = "https://owner.github.io/name/book"


@pytest.mark.parametrize(
    ("myst", "plain"),
    [
        ("Text, **bold** and `code`.", "Text, **bold** and `code`."),
        ("(label)=\n## Heading", "## Heading"),
        ("% a comment\nText", "Text"),
        ("{math}`a^2` costs 5 %", "$a^2$ costs 5 %"),
        ("$$\na^2\n$$ (eq-square)", "$$\na^2\n\\tag{1.1}\n$$"),
        ("```{math}\n:label: eq-square\na^2\n```", "$$\na^2\n\\tag{1.1}\n$$"),
        ("See {eq}`eq-square`.", "See (1.1)."),
        ("See {ref}`one`.", "See The first chapter."),
        ("See {ref}`here <start>`.", f"See [here]({SITE}/intro.html#start)."),
        ("See {doc}`intro`.", f"See [Welcome]({SITE}/intro.html)."),
        ("See [it](intro.md).", f"See [it]({SITE}/intro.html)."),
        ("See [](#start).", f"See [Welcome]({SITE}/intro.html#start)."),
        ("See [the web](https://example.org).", "See [the web](https://example.org)."),
        ("{cite:t}`doe2000some`", "[Doe and Roe (2000)](https://arxiv.org/abs/0001.00001)"),
        ("{cite}`many2001`", "([A et al., 2001](https://doi.org/10.1/x))"),
        ("{class}`~saebook.kinds.KL`", "`KL`"),
        ("```{note}\nTwo\nlines.\n```", "> **Note**\n>\n> Two\n> lines."),
        (":::{admonition} You will\n:class: tip\n- do\n:::", "> **You will**\n>\n> - do"),
        (
            "::::{dropdown} More\n:::{tip}\nDeep {math}`b`\n:::\n::::",
            "> **More**\n>\n> > **Tip**\n> >\n> > Deep $b$",
        ),
        (
            "```{exercise} Square\n:label: ex-square\nCompute.\n```",
            "**Exercise 1.1 (Square)**\n\nCompute.",
        ),
        ("{ref}`ex-next` and {numref}`No. %s <ex-next>`", "Exercise 1.2 and No. 1.2"),
        (
            "````{solution-start} ex-next\n:label: s\n:class: dropdown\n````\n\nDone.",
            "**Solution to Exercise 1.2**\n\nDone.",
        ),
        ("Done.\n\n````{solution-end}\n````", "Done."),
        (
            "```{figure} picture.svg\n:alt: nothing\nA caption.\n```",
            "![nothing](https://example.org/owner/name/raw/main/book/picture.svg)\n\n*A caption.*",
        ),
        (
            "```{interactive} picture.svg\n:part: p\n:alt: nothing\nA caption.\n```",
            "![nothing](https://example.org/owner/name/raw/main/book/picture.svg)\n\n*A caption.* "
            f"[On the site it can be touched.]({SITE}/one.html)",
        ),
        (
            "```{list-table} T\n:header-rows: 1\n* - a\n  - b\n* - 1\n  - 2\n    3\n```",
            "**T**\n\n| a | b |\n| --- | --- |\n| 1 | 2 3 |",
        ),
        ("```python\n# {ref}`one`\n```", "```python\n# {ref}`one`\n```"),
        ("- item\n\n  ```{note}\n  Inside\n  ```", "- item\n\n  > **Note**\n  >\n  > Inside"),
    ],
)
def test_conversion(book, myst, plain):
    assert book.convert(myst, "book/one") == plain


@pytest.mark.parametrize(
    "myst", ["```{mermaid}\ngraph\n```", "{unheard}`of`", "{ref}`nowhere`", "![](none.svg)"]
)
def test_what_cannot_be_converted_is_an_error(book, myst):
    with pytest.raises(ValueError, match=re.escape("book/one.md: ")):
        book.convert(myst, "book/one")


def test_a_code_cell_with_nothing_in_it_is_an_error(book):
    path = book.path("book/one")
    path.write_text(CHAPTER + "\n```{code-cell} python\n:tags: [hide-cell]\n\n```\n")
    with pytest.raises(ValueError, match=r"book/one\.md has a code cell with nothing in it"):
        convert(book, "book/one")


@pytest.mark.parametrize(
    "myst",
    [
        "````{note}\n```{code-cell} python\n1\n```\n````\n",
        "- One\n\n  ```{code-cell} python\n  1\n  ```\n",
        "> ```{code-cell} python\n> 1\n> ```\n",
    ],
)
def test_a_code_cell_that_would_be_dropped_is_an_error(book, myst):
    """Inside of something else a cell is neither run nor in the notebook."""
    path = book.path("book/one")
    path.write_text(f"{CHAPTER}\n{myst}")
    with pytest.raises(ValueError, match=r"book/one\.md: no plain Markdown for .*code-cell"):
        convert(book, "book/one")


def test_figures_of_cells_count_when_a_later_one_is_numbered(book):
    path = book.path("book/one")
    figure = "\n```{figure} picture.svg\n:name: fig-picture\n:alt: lines\nLines.\n```\n"
    path.write_text(CHAPTER + figure)
    assert Book(book.root).targets["fig-picture"].text == "Fig. 1.1"
    cell = '\n```{code-cell} python\npages.show(figure, caption="It rises.")\n```\n'
    path.write_text(CHAPTER + cell + figure)
    assert Book(book.root).targets["fig-picture"].text == "Fig. 1.2"


def test_tables_of_cells_count_when_a_later_one_is_numbered(book):
    table = "\n```{list-table} T\n:name: table-t\n* - a\n  - b\n```\n"
    cell = '\n```{code-cell} python\npages.table(["a"], caption="It wins.")\n```\n'
    book.path("book/one").write_text(CHAPTER + cell + cell.replace("caption", "rows") + table)
    assert Book(book.root).targets["table-t"].text == "Table 1.2"


def test_ids_depend_on_the_cell_alone(book):
    ids = {cell.source: cell.id for cell in convert(book, "book/one").cells}
    path = book.path("book/one")
    path.write_text(
        CHAPTER.replace("```{code-cell}", "```{code-cell} python\n0\n```\n\n```{code-cell}", 1)
    )
    changed = {cell.source: cell.id for cell in convert(book, "book/one").cells}
    assert len(changed) == len(ids) + 1
    assert ids.items() <= changed.items()


def test_a_changed_chapter_is_out_of_date(book):
    target = book.root / "notebooks" / "one.ipynb"
    assert list(out_of_date(book)) == [(target, "is missing")]
    target.parent.mkdir()
    nbformat.write(convert(book, "book/one"), target)
    assert list(out_of_date(book)) == []
    book.path("book/one").write_text(CHAPTER.replace("Go on.", "Stop."))
    assert list(out_of_date(Book(book.root))) == [(target, "differs from book/one.md")]


def test_execution_keeps_text_and_drops_pictures(book):
    notebook = convert(book, "book/one")
    execute(notebook, book.root)
    *_, total, figure = notebook.cells
    assert total.metadata.tags == ["tab-torch"]
    assert total.outputs[0].data == {"text/plain": "2"}
    assert figure.outputs[0].data == {"text/plain": "<Figure size 640x480 with 1 Axes>"}
    assert figure.outputs[0].metadata == {}
    assert "version" not in notebook.metadata.language_info
