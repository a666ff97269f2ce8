"""Remove _build/ when anything that its outputs depend on, other than the pages, has changed.

The execution cache of MyST-NB knows a notebook by its cells alone: after a change in saebook/ it
would still serve the old outputs, and Sphinx would not read the pages again at all.
"""

import hashlib
import shutil
import sys
from pathlib import Path


def fingerprint(root):
    """One digest of the package, the book's extensions, the pinned versions and the Python."""
    folders = (root / "saebook", root / "book" / "_ext")
    files = [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    ]
    files += [root / name for name in ("pyproject.toml", "requirements.txt", "constraints.txt")]
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(files):
        digest.update(f"\0{path.relative_to(root).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def rescue(root):
    """Move a course with points out of _build/, where it lay until version 0.4."""
    former, course = root / "_build" / "assignments", root / "course"
    if not (former / "gradebook.db").exists():
        return
    if course.exists():
        sys.exit(
            f"There is a course in {former}, which a build removes, and another in {course}: "
            "move one of them away."
        )
    former.rename(course)
    print(f"The course in {former} was moved to {course}: builds remove what lies in _build.")


def drop_stale_build(root):
    """Leave _build/ as it is when it belongs to the present package; otherwise start it anew."""
    build = root / "_build"
    stamp = build / ".fingerprint"
    now = fingerprint(root)
    if stamp.is_file() and stamp.read_text(encoding="ascii") == now:
        return False
    if build.exists():
        rescue(root)
        print("The package or its environment has changed: building the book from nothing.")
        shutil.rmtree(build)
    build.mkdir()
    stamp.write_text(now, encoding="ascii")
    return True


if __name__ == "__main__":
    drop_stale_build(Path(__file__).resolve().parent.parent)
