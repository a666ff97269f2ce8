"""Write the points of a course as tables: one of everything, and those that platforms import."""

import csv
import re

LMS = ("canvas", "moodle")


def write_grades(folder, entries):
    """nbgrader's own table of all points, and what is still to be read by a person.

    Quoted where a name holds a comma, which nbgrader's export does not do."""
    rows = [
        {**entry["row"], "handed_in": "no" if entry["grades"] is None else "yes",
         "pending": " ".join(entry["pending"])}
        for entry in entries.values()
    ]  # fmt: skip
    write(folder / "grades.csv", list(rows[0]) if rows else [], rows)


def write(path, columns, rows):
    """Write a table whole or not at all, as spreadsheets read it without asking."""
    part = path.with_suffix(".part")
    with open(part, "w", newline="", encoding="utf8") as file:
        table = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    part.replace(path)


def title(name):
    return name.replace("_", " ").capitalize()


def column(name, there):
    """The column of an assignment in a platform's own table, or a new one.

    Canvas writes "Theory (4711)", Moodle "Assignment: Theory (Real)"."""
    for known in there:
        plain = re.sub(r"\s*\([^()]*\)\s*$", "", known).partition("Assignment:")
        plain = (plain[2] or plain[0]).strip().lower()
        if plain in (name.lower(), title(name).lower()):
            return known
    return title(name)


def write_lms(folder, lms, entries, roster):
    """Write canvas.csv or moodle.csv: a row for each student, a column for each assignment.

    Where the roster is the platform's own export, its columns and rows are kept, so that it knows
    them again. An assignment of which answers are still to be read is left empty, as one that was
    not handed in: an empty field changes nothing there."""
    if lms == "canvas":
        columns = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    else:
        columns = ["First name", "Last name", "ID number", "Email address"]
    first = next(iter(roster.values()), {"row": {}})["row"]
    exported = (
        ("Student" in first and "ID" in first) if lms == "canvas" else "Email address" in first
    )
    if exported:
        columns = list(first)
    handed_in = {key: entry for key, entry in entries.items() if entry["grades"] is not None}
    names = list(dict.fromkeys(name for name, _ in handed_in))
    headed = {name: column(name, columns) for name in names}
    columns = list(dict.fromkeys([*columns, *headed.values()]))
    students = list(dict.fromkeys([*roster, *(student for _, student in handed_in)]))
    rows, most = [], {}
    for (name, _), entry in handed_in.items():
        most[headed[name]] = f"{entry['row']['max_score']:g}"
    if lms == "canvas":
        rows.append({"Student": "    Points Possible", **most})
    for student in students:
        known = roster.get(student, {"row": {}, "last_name": "", "first_name": "", "email": ""})
        if exported and known["row"]:
            row = dict(known["row"])
        elif lms == "canvas":
            full = ", ".join(filter(None, [known["last_name"], known["first_name"]]))
            row = {"Student": full or student, "SIS User ID": student, "SIS Login ID": student}
        else:
            row = {
                "First name": known["first_name"],
                "Last name": known["last_name"],
                "ID number": student,
                "Email address": known["email"],
            }
        for name in names:
            entry = handed_in.get((name, student))
            if entry:
                row[headed[name]] = "" if entry["pending"] else f"{entry['row']['score']:g}"
        rows.append(row)
    path = folder / f"{lms}.csv"
    write(path, columns, rows)
    return path
