"""Begin a chapter: its page, with everything that the tests ask of one, and its place in _toc.yml.

    python scripts/new_chapter.py NAME ["A title"]

`make chapter NAME=...` calls this where there is no such page yet, and otherwise makes what is
generated from the page.
"""

import argparse
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  name: python3
  display_name: Python 3
---

(@NAME@)=
# @TITLE@

A question that the reader has, in two or three sentences.

:::{admonition} About this chapter
**You will be able to** do something, and say why it works.

**Minutes:** 20 to read, another 10 for the exercises. **Prerequisites:** {doc}`theory`.
:::

## A picture first

```{code-cell} python
from saebook import KL, SAEConfig, TrainConfig, mnist, pages, plots

digits = mnist()
x, x_val = digits.x_train[:2_000], digits.x_val[:500]
config = SAEConfig(n_features=784, n_latents=32, sparsity=KL(rho=0.05, beta=0.1))
training = TrainConfig(epochs=2)
```

```{code-cell} python
:tags: [tab-torch]
from saebook.pytorch import SparseAutoencoder, fit

torch_history = fit(SparseAutoencoder(config), x, training, x_val=x_val)
```

```{code-cell} python
:tags: [tab-tf]
from saebook.tensorflow import SparseAutoencoder, fit

tf_history = fit(SparseAutoencoder(config), x, training, x_val=x_val)
```

```{code-cell} python
:tags: [hide-input]
figure = plots.curves(
    {"PyTorch": torch_history["val_fvu"], "TensorFlow": tf_history["val_fvu"]}, y_label="FVU"
)
pages.show(
    figure,
    alt="What the figure shows, in a sentence: both curves fall together.",
    caption="The result: both frameworks train to the same error.",
)
```

A number in the text is computed on the page, and a cell holds it to what the text says.

```{code-cell} python
:tags: [hide-cell]
assert abs(torch_history["val_fvu"][-1] - tf_history["val_fvu"][-1]) < 1e-3
```

## Summary

- What the reader takes away.

## Exercises

```{exercise-start} The first
:label: ex-@NAME@-first
```
*5 minutes, easy.* Write the share of latents that are active.

```python
def share(z): ...
```
```{exercise-end}
```

```{solution-start} ex-@NAME@-first
:class: dropdown
```
```{code-cell} python
:tags: [hide-cell]
import numpy as np


def share(z):
    return np.mean(z > 0)


assert share(np.array([[0.0, 1.0]])) == 0.5
```
```{solution-end}
```
"""


def begin(root, name, title):
    """Write the page and its line in the table of contents, after the last of the chapters."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise SystemExit(f"NAME must be lower-case letters, digits and _, got {name!r}.")
    page, toc = root / "book" / f"{name}.md", root / "_toc.yml"
    if page.exists():
        raise SystemExit(f"NAME must be that of a new chapter, got {name!r}: {page} is there.")
    lines = toc.read_text("utf8").splitlines(keepends=True)
    appendix = next(number for number, line in enumerate(lines) if "caption: Appendix" in line)
    lines.insert(appendix, f"      - file: book/{name}\n")
    page.write_text(PAGE.replace("@NAME@", name).replace("@TITLE@", title), "utf8")
    toc.write_text("".join(lines), "utf8")
    return page


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="of the page, for example: theory")
    parser.add_argument("title", nargs="?", help="its heading")
    options = parser.parse_args(arguments)
    title = options.title or options.name.replace("_", " ").capitalize()
    page = begin(ROOT, options.name, title)
    print(f"{page.relative_to(ROOT)} is begun and in _toc.yml.")
    print(f"Write it; then `make chapter NAME={options.name}` once more makes its notebook.")


if __name__ == "__main__":
    main()
