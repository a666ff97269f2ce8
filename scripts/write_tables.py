"""Write the tables of book/in_and_out.md from the stored results: `make interop`, `make runtimes`.

A table stands between two lines of comment, ``% begin NAME`` and ``% end NAME``.
"""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "book" / "in_and_out.md"
RESULTS = ROOT / "saebook" / "pages" / "results"
SAYS = {"to": "written here, read there", "from": "written there, read here"}


def rows_of(name):
    """The rows of a stored result."""
    return json.loads((RESULTS / f"{name}.json").read_text("utf8"))["rows"]


def table(head, rows):
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def layouts():
    """A row for each package and direction: how many models, and their largest differences."""
    groups = {}
    for row in rows_of("interop"):
        groups.setdefault((row["package"], row["version"], row["direction"]), []).append(row)
    return table(
        ["Package", "Version", "", "Models", "Codes", "Reconstructions"],
        [
            [package, version, SAYS[direction], len(rows)]
            + [f"{max(row[key] for row in rows):.1e}" for key in ("codes", "reconstructions")]
            for (package, version, direction), rows in sorted(groups.items())
        ],
    )


def architectures():
    """A row for each model."""
    return table(
        ["Package", "Architecture", "", "Codes", "Reconstructions"],
        [
            [row["package"], row["architecture"], row["direction"]]
            + [f"{row[key]:.1e}" for key in ("codes", "reconstructions")]
            for row in rows_of("interop")
        ],
    )


def runtimes():
    """A row for each runtime and kind."""
    return table(
        [
            "Runtime",
            "Kind",
            "Encoder: codes",
            "Decoder: reconstructions",
            "Both: codes",
            "Both: reconstructions",
            "Same active latents",
            "With ties",
        ],
        [
            [row["runtime"], row["kind"]]
            + [f"{row[key]:.1e}" for key in ("encoder_z", "decoder_x_hat", "both_z", "both_x_hat")]
            + [f"{min(row['encoder_same'], row['both_same']):.1%}", f"{row['ties']:.1%}"]
            for row in sorted(rows_of("runtimes"), key=lambda row: row["runtime"])
        ],
    )


TABLES = {"layouts": layouts, "architectures": architectures, "runtimes": runtimes}


def with_tables(text):
    """The page with every table as the stored results have it."""
    for name, made in TABLES.items():
        between = re.compile(rf"(?<=% begin {name}\n).*?(?=% end {name}\n)", re.DOTALL)
        text, times = between.subn(lambda _, made=made: f"\n{made()}\n\n", text)
        if times != 1:
            raise ValueError(f"{PAGE} must have one place for the table {name}, got {times}.")
    return text


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf8")), "utf8")
