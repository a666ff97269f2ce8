"""A course: the folder that holds what students handed in, and the points for it.

    COURSE/
        release/, solution/, source/    made from the assignments; see scripts/make_assignments.py
        submitted/STUDENT/NAME/         what was handed in; only ever read
        autograded/, feedback/          nbgrader's copies with outputs; pages for students
        gradebook.db                    the points, those given by hand among them
        roster.csv, due.csv             who takes part, and until when; filled in by hand
        backups/                        a copy of all that cannot be made again, before each grading
        records/                        which submission the points of each student belong to

A course lies outside of every folder that is built, and nothing that builds or cleans touches it.
"""

import contextlib
import csv
import datetime
import hashlib
import io
import json
import os
import sqlite3
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COURSE = ROOT / "course"

ROSTER = ["student_id", "last_name", "first_name", "email"]
# What a column of a learning platform's own table says: Canvas's gradebook, Moodle's grades or
# participants, GitHub Classroom's roster. Compared in lower case.
COLUMNS = {
    "student_id": ("student_id", "id number", "sis login id", "sis user id", "username",
                   "identifier", "email address", "email"),
    "last_name": ("last_name", "last name", "surname"),
    "first_name": ("first_name", "first name"),
    "name": ("student", "name", "full name"),
    "email": ("email", "email address"),
}  # fmt: skip


NAMES = ("last_name", "first_name", "name")


class Faulty(Exception):
    """Something in a course is not as it has to be; the sentence says what."""


@contextlib.contextmanager
def locked(folder):
    """Let nobody else grade this course meanwhile; the lock ends with this process."""
    import fcntl

    with open(folder / ".lock", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise Faulty(f"the course is being graded by process {file.read()}") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def backup(folder):
    """Keep a copy of what cannot be made again: points, tables, what was handed in."""
    gradebook = folder / "gradebook.db"
    if not gradebook.exists():
        return None
    place = folder / "backups"
    place.mkdir(exist_ok=True)
    stamp = datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
    target, number = place / f"{stamp}.zip", 1
    while target.exists():
        target, number = place / f"{stamp}-{number}.zip", number + 1
    written = target.with_suffix(".part")
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        with tempfile.TemporaryDirectory() as scratch:
            # SQLite's own copy is whole even while someone gives points in the browser
            copied = Path(scratch, "gradebook.db")
            with (
                contextlib.closing(sqlite3.connect(gradebook)) as old,
                contextlib.closing(sqlite3.connect(copied)) as new,
            ):
                old.backup(new)
            archive.write(copied, "gradebook.db")
        for path in sorted(folder.glob("*.csv")):
            archive.write(path, path.name)
        # The notebooks; data that a student handed in with one is not copied again each time.
        for path in sorted((folder / "submitted").rglob("*.ipynb")):
            if path.is_file() and not path.is_symlink():
                name = str(path.relative_to(folder)).encode("utf-8", "replace").decode()
                archive.write(path, name)
    written.rename(target)
    return target


def read_csv(path):
    """The rows of a table that a person or a spreadsheet wrote, and its columns."""
    text = path.read_bytes()
    for encoding in ("utf-8-sig", "utf-16" if text[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp1252"):
        try:
            text = text.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    if isinstance(text, bytes):
        raise Faulty(f"{path.name} is no text: save it as CSV in UTF-8")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)  # spreadsheets write semicolons in many countries
    rows = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    columns = [name.strip() for name in rows.fieldnames or []]
    rows.fieldnames = columns
    return [{k: (v or "").strip() for k, v in row.items() if k} for row in rows], columns


def roster(folder):
    """The students of roster.csv by id: names, and all else by which a student may be known.

    It is the table of this package or one that a learning platform exports; each entry has
    `student_id`, `last_name`, `first_name`, `email`, `known` (a set) and `row`, the row as it was.
    """
    path = folder / "roster.csv"
    if not path.exists():
        return {}
    rows, columns = read_csv(path)
    lower = {name.lower(): name for name in columns}
    found = {}
    for number, row in enumerate(rows, 2):
        if not any(row.values()) or row.get("Student", "").lower() == "points possible":
            continue
        # a name is no id: several may have it, and one of the class may have another's in part
        named = {lower.get(n) for field in NAMES for n in COLUMNS[field]}
        ids = {value.lower() for column, value in row.items() if value and column not in named}
        entry = {"row": row, "known": ids}
        for field, names in COLUMNS.items():
            given = [row[lower[name]] for name in names if row.get(lower.get(name))]
            entry[field] = given[0] if given else ""
        if not entry["student_id"]:
            wanted = ", ".join(COLUMNS["student_id"])
            raise Faulty(f"line {number} of roster.csv has no id in any of the columns {wanted}")
        key = entry["student_id"] = entry["student_id"].lower()
        if "/" in key or key in (".", ".."):
            raise Faulty(f"line {number} of roster.csv: {key!r} cannot be the name of a folder")
        if key in found:
            raise Faulty(f"line {number} of roster.csv has the id {key!r} again")
        name = entry.pop("name")
        if name and not entry["last_name"]:
            last, comma, first = name.partition(",")
            if not comma:
                first, _, last = name.rpartition(" ")
            entry["last_name"], entry["first_name"] = last.strip(), first.strip()
        found[key] = entry
    # what several have in common, a section for example, tells nobody apart
    every = [word for entry in found.values() for word in entry["known"]]
    for key, entry in found.items():
        entry["known"] = {word for word in entry["known"] if word == key or every.count(word) == 1}
    return found


def due(folder):
    """Until when assignments are to be handed in, by name; those without a date are left out."""
    path = folder / "due.csv"
    if not path.exists():
        return {}
    dates = {}
    for number, row in enumerate(read_csv(path)[0], 2):
        if not row.get("due"):
            continue
        try:
            date = datetime.datetime.fromisoformat(row["due"])
        except ValueError:
            raise Faulty(
                f"line {number} of due.csv: a date is written 2026-12-01 23:59, got {row['due']!r}"
            ) from None
        dates[row.get("assignment", "")] = date.astimezone()  # without a zone: this machine's
    return dates


def passed(folder, name):
    """Whether the date of an assignment has passed; False where it has none."""
    date = due(folder).get(name)
    return date is not None and date < datetime.datetime.now().astimezone()


# Records: for which submission a student's points were given


def digest(*paths):
    """One number for the contents and names of files and folders."""
    total = hashlib.sha256()
    for path in paths:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            if file.is_symlink() or not file.exists():
                continue
            total.update(os.fsencode(str(file.relative_to(path.parent))) + b"\0")
            total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def record_path(folder, name, student):
    hashed = hashlib.sha256(student.encode("utf-8", "surrogateescape")).hexdigest()[:24]
    return folder / "records" / name / f"{hashed}.json"


def read_record(folder, name, student):
    try:
        return json.loads(record_path(folder, name, student).read_text("utf8"))
    except (OSError, ValueError):
        return {}


def write_record(folder, name, student, record):
    path = record_path(folder, name, student)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps({"student": student, **record}, indent=1), "utf8")
    part.replace(path)
