"""The exercises in the chapters: minutes, difficulty, a solution, and stubs that match it."""

import ast
import re
from pathlib import Path

import pytest

BOOK = Path(__file__).resolve().parents[2] / "book"
START = re.compile(
    r"^[`:]{3,}\{exercise-start\}[^\n]*\n:label: (?P<label>\S+)\n(?::\S+:[^\n]*\n)*[`:]{3,}\n"
    r"(?P<text>.*?)^[`:]{3,}\{exercise-end\}",
    re.DOTALL | re.MULTILINE,
)
SOLUTION = re.compile(
    r"^[`:]{3,}\{solution-start\} (?P<label>\S+)\n(?P<text>.*?)^[`:]{3,}\{solution-end\}",
    re.DOTALL | re.MULTILINE,
)
CODE = re.compile(r"^```(?:python|\{code-cell\} python)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def exercises(page):
    return {m["label"]: m["text"] for m in START.finditer(page)}


def solutions(page):
    return {m["label"]: m["text"] for m in SOLUTION.finditer(page)}


def signatures(text):
    """The functions that the code of a text defines, with the names of their arguments."""
    found = {}
    for code in CODE.findall(text):
        code = re.sub(r"\A---\n.*?^---\n|\A(:\S+:[^\n]*\n)+", "", code, flags=re.DOTALL | re.M)
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.FunctionDef):
                found[node.name] = [argument.arg for argument in node.args.args]
    return found


def faults(page):
    """What is missing of the exercises of a page."""
    asked, solved = exercises(page), solutions(page)
    if page.count("{exercise") != 2 * len(asked):
        yield "an exercise is not written with exercise-start and exercise-end"
    for label, text in asked.items():
        if not re.match(r"\*\d+ minutes, (easy|medium|hard)\.\*", text.strip()):
            yield f"{label} does not state its minutes and difficulty"
        if label not in solved:
            yield f"{label} has no solution"
        for name, arguments in signatures(text).items():
            if signatures(solved.get(label, "")).get(name) != arguments:
                yield f"{label}: the stub {name} has other arguments than its solution"


CHAPTERS = [p for p in sorted(BOOK.glob("*.md")) if "{exercise-start}" in p.read_text("utf8")]


def test_chapters_have_exercises():
    assert len(CHAPTERS) >= 9


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_exercises(path):
    assert list(faults(path.read_text("utf8"))) == []


PAGE = """
```{exercise-start} One
:label: one
```
*5 minutes, easy.* Write it.

```python
def f(x, y):
    ...
```
```{exercise-end}
```

```{solution-start} one
:class: dropdown
```
```{code-cell} python
:tags: [hide-cell]
def f(x, y):
    return x
```
```{solution-end}
```
"""


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("*5 minutes, easy.*", "*easy.*"), "one does not state its minutes and difficulty"),
        (("} one", "} two"), "one has no solution"),
        (("def f(x, y):\n    return", "def f(x):\n    return"), "one: the stub f has other"),
        (("```{exercise-start} One", "```{exercise} One"), "an exercise is not written with"),
    ],
)
def test_faults_are_found(change, fault):
    assert list(faults(PAGE)) == []
    assert any(found.startswith(fault) for found in faults(PAGE.replace(*change)))
