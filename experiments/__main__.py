"""Run experiments and store their numbers: python -m experiments [NAME ...] (default: all)."""

import argparse
import json
import os
import platform
import time
from datetime import date
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

# TensorFlow's notices carry the time of day; the variables count only before it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

ROOT = Path(__file__).resolve().parent.parent
NAMES = sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


def store(name, found, start):
    """Write what was found, with when, how long since `start`, and on what, where pages read it."""
    found["run"] = {
        "date": date.today().isoformat(),
        "seconds": round(time.perf_counter() - start),
        "machine": f"{platform.machine()}, {os.cpu_count()} processor cores",
        "versions": {"python": platform.python_version()}
        | {p: version(p) for p in ("numpy", "scikit-learn", "scikit-image", "torch", "keras")},
    }
    path = ROOT / "saebook" / "pages" / "results" / f"{name}.json"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(found, indent=1) + "\n", encoding="utf8")
    os.replace(partial, path)
    print(path.relative_to(ROOT), f"{found['run']['seconds']} s")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    names = parser.parse_args(arguments).names or NAMES
    if unknown := set(names) - set(NAMES):
        parser.error(f"no experiment {', '.join(unknown)}; there are: {', '.join(NAMES)}")
    for name in names:
        start = time.perf_counter()
        found = import_module(f"experiments.{name}").run()
        store(name, found, start)


if __name__ == "__main__":
    main()
