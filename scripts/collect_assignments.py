"""Sort what a learning platform lets you download into the course, a folder for each student.

    python scripts/collect_assignments.py NAME ZIP_OR_FOLDER [--course FOLDER]

Whose a file is, its name and the folders that it lies in say: Moodle, Canvas and GitHub Classroom
put an id or the student's name there. They are looked up in COURSE/roster.csv; without a roster the
outermost folder is the student's id. What belongs to nobody, or to more than one, is named and left
out: nothing is guessed. What a student handed in before is kept in COURSE/earlier/.
"""

import argparse
import datetime
import re
import shutil
import sys
import tempfile
import unicodedata
import zipfile
from pathlib import Path, PurePosixPath

import assignment_course
import assignment_submission
from make_assignments import COURSE

# Words that platforms add to names of files and folders, and that are nobody's.
ADDED = {"", "assignsubmission", "file", "onlinetext", "late", "copy", "of"}


def plain(word):
    """A word as it is compared: without accents, case, spaces and signs, which platforms drop."""
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(c for c in decomposed if c.isalnum())


def keys(roster):
    """What names a student: {word: ids}, by ids and by names."""
    ids, names = {}, {}
    for student, entry in roster.items():
        for word in {student, *entry["known"]}:
            if len(plain(word)) > 2 or word == student:
                ids.setdefault(plain(word), set()).add(student)
        first, last = entry["first_name"], entry["last_name"]
        if first and last:
            for word in (first + last, last + first):
                names.setdefault(plain(word), set()).add(student)
    return ids, names


def words(path, name):
    """The words of a path that may name a student, as they are compared."""
    found = []
    for part in path.parts:
        stem = part[: -len(".ipynb")] if part.lower().endswith(".ipynb") else part
        pieces = [stem, *stem.split("_"), *re.split(r"[_\s]+", stem)]
        # GitHub Classroom: theory-username; and what others make of it
        pieces += [re.sub(rf"(?i)^{re.escape(name)}[-_ ]+|[-_ ]+{re.escape(name)}$", "", stem)]
        found += [plain(piece) for piece in pieces]
    return set(found) - ADDED - {plain(name)}


def owner(path, name, ids, names):
    """The students that a path names, by id or else by name."""
    said = words(path, name)
    for known in (ids, names):
        if fits := set().union(*(known[word] for word in said if word in known)):
            return fits
    return set()


def unpacked(source, place):
    """The folder to collect from; a zip is unpacked, plain files of reasonable size alone."""
    if source.is_dir():
        return source
    if not zipfile.is_zipfile(source):
        raise assignment_course.Faulty(f"{source} is neither a folder nor a zip")
    total = 0
    with zipfile.ZipFile(source) as archive:
        for item in archive.infolist():
            path = PurePosixPath(item.filename.replace("\\", "/"))
            linked = item.external_attr >> 28 == 0xA
            if item.is_dir() or linked or path.is_absolute() or ".." in path.parts:
                continue
            total += item.file_size
            if item.file_size > assignment_submission.LARGEST or total > 4 * 2**30:
                raise assignment_course.Faulty(f"{item.filename} in {source.name} is too large")
            target = place.joinpath(*path.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(item) as file, open(target, "wb") as out:
                shutil.copyfileobj(file, out)
    return place


def sort(source, name, roster):
    """Whose each file is: {student: [file, ...]}, and sentences about the others."""
    ids, names = keys(roster)
    mine, remarks = {}, []
    for path in assignment_submission.files(source):
        inner = path.relative_to(source)
        if inner.parts[0] == "__MACOSX":
            continue
        if roster:
            fits = owner(inner, name, ids, names)
        else:
            fits = {inner.parts[0].lower()} if len(inner.parts) > 1 else set()
        if len(fits) == 1:
            mine.setdefault(fits.pop(), []).append(path)
        elif path.suffix.lower() in (".ipynb", ".zip"):
            whose = f"may be of {', '.join(sorted(fits))}" if fits else "is of nobody in roster.csv"
            remarks.append(f"{inner} {whose if roster else 'lies in no folder of a student'}")
    for student in [s for s, paths in mine.items() if not any_notebook(paths)]:
        held = ", ".join(sorted(path.name for path in mine.pop(student)))
        remarks.append(f"{student} handed in no notebook, but {held}")
    return mine, remarks


def any_notebook(paths):
    return any(path.suffix.lower() == ".ipynb" for path in paths)


def put(folder, name, student, paths):
    """Copy files of a student into the course; whether that changed anything."""
    target = folder / "submitted" / student / name
    with tempfile.TemporaryDirectory(dir=folder, prefix=".collect-") as place:
        fresh = Path(place, name)
        fresh.mkdir()
        # below the folder that they have in common, or flat
        top = Path(*common([path.parent.parts for path in paths]))
        for path in paths:
            inner = fresh / path.relative_to(top)
            inner.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, inner)
        if target.exists():
            if assignment_course.digest(target) == assignment_course.digest(fresh):
                return False
            stamp = datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S-%f")
            kept = folder / "earlier" / name / student / stamp
            kept.parent.mkdir(parents=True, exist_ok=True)
            target.rename(kept)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh.rename(target)
    return True


def common(several):
    """The parts that all paths begin with."""
    shared = []
    for parts in zip(*several, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return shared


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("assignment", help="an assignment's name, for example: theory")
    parser.add_argument("source", type=Path, help="the zip that was downloaded, or a folder")
    parser.add_argument("--course", type=Path, default=COURSE, help="the course folder")
    options = parser.parse_args(arguments)
    folder, name = options.course.resolve(), options.assignment
    if not (folder / "release" / name).is_dir():
        parser.error(f"no assignment {name} in {folder / 'release'}; make assignments makes it")
    if not options.source.exists():
        parser.error(f"there is no {options.source}")
    try:
        roster = assignment_course.roster(folder)
        with tempfile.TemporaryDirectory(prefix="collect-") as place:
            source = unpacked(options.source.resolve(), Path(place))
            mine, remarks = sort(source, name, roster)
            changed = [
                student for student in sorted(mine) if put(folder, name, student, mine[student])
            ]
    except assignment_course.Faulty as error:
        parser.error(str(error))
    print(f"{len(mine)} students, of whom {len(changed)} are new or handed in something else")
    for remark in remarks:
        print(f"left out: {remark}")
    if remarks:
        print(f"Put them by hand where they belong: {folder / 'submitted' / 'STUDENT' / name}")
    if missing := sorted(set(roster) - set(mine)):
        print(f"nothing from {len(missing)} of {len(roster)}: {', '.join(missing)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
