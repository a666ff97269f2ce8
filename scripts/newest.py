"""What differs between this environment and constraints.txt: a line for each package.

Run by `make newest`, in an environment with the newest versions.
"""

import re
from importlib.metadata import distributions
from pathlib import Path

PINS = Path(__file__).resolve().parent.parent / "constraints.txt"


def normal(name):
    """A package's name as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main():
    """Print every package that is newer than its pin, or has none."""
    pins = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", PINS.read_text("utf8"), re.MULTILINE))
    pins = {normal(name): version for name, version in pins.items()}
    found = {normal(one.metadata["Name"]): one.version for one in distributions()}
    for name, version in sorted(found.items()):
        pinned = pins.get(name, "not pinned")
        if name not in ("pip", "setuptools", "saebook") and version.split("+")[0] != pinned:
            print(f"{name:<28} {pinned:<14} {version}")


if __name__ == "__main__":
    main()
