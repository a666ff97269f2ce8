"""One word and one letter for a thing on all pages, as in book/notation.md; minutes that fit."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "book").glob("*.md"))
ASSIGNMENTS = sorted((ROOT / "assignments").glob("*/*.md"))
NOTATION = (ROOT / "book" / "notation.md").read_text("utf8")

# A pattern that no page may hold, why, and the pages in which it has a meaning of its own.
REFUSED = [
    (
        r"(?<!hidden )(?<!rectified )(?<!rounding )(?<!in )(?<!a )(?<![*_.])\bunits?\b"
        r"(?![ _-](norm|length|vector)| of activation| of the learning rate|[*_(.=,\]:]| alone)",
        "a latent is a latent; a hidden unit belongs to another network",
        (),
    ),
    (r"\bneurons?\b", "a latent, or a hidden unit of another network", ("notation",)),
    (
        r"\b(dead|silent|named|auxiliary) features?\b"
        r"|\bfeatures? (fires?|is active for|are active for)\b",
        "a latent: features are what data have",
        (),
    ),
    (r"\$[hnk]\$ latents|\$[mhk]\$ (input )?features|\$[mdhk]\$ samples", "n, d, m", ()),
    (r"\\sum_\{?k\b|_\{ik\}|_\{jk\}|\\sum_\{i,k\}", "k counts what is kept: indices i, j, l", ()),
    (r"\\alpha", "the weight decay's weight", ("notation", "theory", "backpropagation")),
    (r"\\lambda_[a-z]\b", "lambda is the price of L1, not an eigenvalue", ()),
    (r"\\varepsilon", "the bandwidth of JumpReLU", ("modern", "notation")),
    (r"\\theta", "a threshold of JumpReLU", ("modern", "notation")),
]
# Letters and words that notation.md defines, and that the rules above rest on.
DEFINED = ("n", "d", "m", "x", "z", r"\rho", r"\beta", r"\lambda", "k", r"\theta_j", r"\varepsilon",
           r"\alpha", r"\eta")  # fmt: skip
WORDS = ("latent", "feature", "dictionary", "hidden unit")


def prose(text):
    """A page's text, with what its cells print and its figures say, without other code."""
    cells = re.findall(r"^```\{code-cell\}.*?^```$", text, re.DOTALL | re.MULTILINE)
    said = [string for cell in cells for string in re.findall(r'f?"[^"\n]*"', cell)]
    text = re.sub(r"^```(\{code-cell\}|python).*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"(?<!`)`[^`\n]+`|\{[\w:]+\}`[^`]*`", "", text)  # code and roles
    return "\n".join([text, *said])


def found_in(name, text):
    return [
        f"{name}: {match.group(0)!r} ({why})"
        for pattern, why, exempt in REFUSED
        if name not in exempt
        for match in re.finditer(pattern, text)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_page_keeps_to_the_words_and_letters_of_the_notation(page):
    assert found_in(page.stem, prose(page.read_text("utf8"))) == []


RESULTS = sorted((ROOT / "saebook" / "pages" / "results").glob("*.json"))


def strings(found):
    """Every text of a stored result that a page may print: names and values."""
    if isinstance(found, dict):
        return [*found, *(text for value in found.values() for text in strings(value))]
    if isinstance(found, list):
        return [text for value in found for text in strings(value)]
    return [found] if isinstance(found, str) else []


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_stored_text_keeps_to_the_words_too(path):
    texts = strings(json.loads(path.read_text("utf8")))
    assert found_in(path.stem, "\n".join(text for text in texts if " " in text)) == []


@pytest.mark.parametrize("page", ASSIGNMENTS, ids=lambda path: path.stem)
def test_an_assignment_keeps_to_the_words_too(page):
    assert found_in(page.stem, prose(page.read_text("utf8"))) == []


@pytest.mark.parametrize(
    "wrong",
    [
        "the units that fire",
        "each unit fires",
        "a hidden neuron",
        "dead features",
        "$m$ features and $h$ latents",
        r"$\sum_k (x_{ik} - 1)$",
        r"a share $\alpha$",
        r"eigenvalues $\lambda_r$",
        '```{code-cell} python\nprint(f"units that fire: {n}")\n```',
    ],
)
def test_the_rules_can_be_broken(wrong):
    assert found_in("page", prose(wrong))


@pytest.mark.parametrize(
    "right",
    [
        "rows of unit norm",
        "64 hidden units",
        "`units` in code",
        "a unit of activation",
        "$d$ features",
    ],
)
def test_what_is_meant_otherwise_may_stand(right):
    assert found_in("page", prose(right)) == []


def test_the_notation_defines_what_the_rules_rest_on():
    for letter in DEFINED:
        assert re.search(rf"\* - \${re.escape(letter)}[$_]", NOTATION), letter
    for word in WORDS:
        assert f"**{word}**" in NOTATION, word


# Minutes


CHAPTERS = [page for page in PAGES if "**Minutes:**" in page.read_text("utf8")]
STATED = re.compile(r"\*\*Minutes:\*\*\s*(\d+) to read(?:, another\s+(\d+))?")


def reading_minutes(chapter):
    """130 words, 2 displayed formulas, 15 short ones or 400 characters of open code a minute."""
    cells = re.findall(r"^```\{code-cell\}.*?^```$", chapter, re.DOTALL | re.MULTILINE)
    code = sum(
        len(re.sub(r"\s", "", line))  # however it is wrapped
        for cell in cells
        if not re.search(r"hide-(cell|input)|tab-tf", cell)  # folded, or what the other tab says
        for line in cell.splitlines()
        if line and line[0] not in ":`"
    )
    prose = re.sub(r"^```\{code-cell\}.*?^```$", "", chapter, flags=re.DOTALL | re.MULTILINE)
    prose, displayed = re.subn(r"^\$\$.*?^\$\$", "", prose, flags=re.DOTALL | re.MULTILINE)
    prose, short = re.subn(r"\$[^$\n]+\$", "", prose)
    return len(prose.split()) / 130 + displayed / 2 + short / 15 + code / 400


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda path: path.stem)
def test_minutes_fit_words_formulas_and_code(page):
    text = page.read_text("utf8")
    reading, exercising = STATED.search(text).groups()
    chapter, _, exercises = text.partition("\n## Exercises")
    expected = reading_minutes(chapter)
    assert 0.75 * expected <= int(reading) <= 1.33 * expected, f"about {expected:.0f} minutes"
    if exercising:
        asked = map(int, re.findall(r"^\*(\d+) minutes", exercises, re.MULTILINE))
        assert int(exercising) == sum(asked)


def test_minutes_grow_with_formulas_and_not_with_wrapping():
    cell = "```{code-cell} python\nf(%s1, 2)\n```\n"
    assert reading_minutes(cell % "") == reading_minutes(cell % "\n    ")
    assert reading_minutes("$$\nx\n$$\n") == 0.5
    assert reading_minutes("$x$ ") == 1 / 15
