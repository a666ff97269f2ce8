"""Read and write the points of a course in nbgrader's gradebook; runs in nbgrader's own Python.

    python scripts/assignment_points.py < ORDER

An order is JSON: "gradebook", a path; and, as far as wanted,

- "students": {ID: {last_name, first_name, email}} and "due": {ASSIGNMENT: DATE}, written first;
- "failed": {ASSIGNMENT: [STUDENT, ...]}: what could not be graded gets 0 points from its tests,
  where points of an earlier run might stand;
- "settled": {ASSIGNMENT: {STUDENT: [QUESTION, ...]}}: answers that a person has read and that have
  not changed since, so that they need not be read again.

Prints a list with an entry for each student and assignment.
"""

import datetime
import json
import sys

from nbgrader.api import Gradebook, MissingEntry


def submission_of(book, assignment, student):
    try:
        return book.find_submission(assignment, student)
    except MissingEntry:
        return None


def grades_of(submission):
    return [grade for notebook in submission.notebooks for grade in notebook.grades]


def fail(book, student, assignment):
    """Give every question that tests grade 0 points."""
    book.update_or_create_student(student)
    submission = book.update_or_create_submission(assignment, student)
    for grade in grades_of(submission):
        # what a person graded stays as it is: it may have been read from the file by hand
        if grade.cell.cell_type == "code":
            grade.auto_score = 0
            grade.needs_manual_grade = False
    book.db.commit()


def settle(book, student, assignment, questions):
    submission = submission_of(book, assignment, student)
    for grade in grades_of(submission) if submission else []:
        if grade.name in questions and grade.manual_score is not None:
            grade.needs_manual_grade = False
    book.db.commit()


def entry(book, assignment, student):
    row = {
        "assignment": assignment.name,
        "duedate": assignment.duedate,
        "timestamp": None,
        "student_id": student.id,
        "last_name": student.last_name,
        "first_name": student.first_name,
        "email": student.email,
        "raw_score": 0.0,
        "late_submission_penalty": 0.0,
        "score": 0.0,
        "max_score": assignment.max_score,
    }
    submission = submission_of(book, assignment.name, student.id)
    if submission is None:
        return {"row": row, "ungraded": None, "pending": [], "read": [], "late": 0, "grades": None}
    penalty = submission.late_submission_penalty or 0.0
    grades = grades_of(submission)
    comments = [c for notebook in submission.notebooks for c in notebook.comments]
    row["timestamp"] = submission.timestamp
    row["raw_score"] = submission.score
    row["late_submission_penalty"] = penalty
    row["score"] = max(0.0, submission.score - penalty)
    return {
        "row": row,
        "ungraded": [g.name for g in grades if g.cell.cell_type == "code" and g.auto_score is None],
        # nbgrader marks those that a person has to read, or read before the answer changed
        "pending": [g.name for g in grades if g.needs_manual_grade],
        "read": [g.name for g in grades if g.manual_score is not None and not g.needs_manual_grade],
        "late": submission.total_seconds_late if submission.timestamp else 0,
        # all that a feedback page shows of the gradebook
        "grades": [[g.name, g.score] for g in grades] + [[c.name, c.comment] for c in comments],
    }


def main():
    order = json.load(sys.stdin)
    entries = []
    with Gradebook("sqlite:///" + order["gradebook"] + "?timeout=120", "saebook") as book:
        for student, names in order.get("students", {}).items():
            book.update_or_create_student(student, **names)
        there = {assignment.name for assignment in book.assignments}
        for name, date in order.get("due", {}).items():
            if name in there:
                moment = datetime.datetime.fromisoformat(date).astimezone(datetime.timezone.utc)
                book.update_or_create_assignment(name, duedate=moment.replace(tzinfo=None))
        for name, students in order.get("failed", {}).items():
            for student in students:
                fail(book, student, name)
        for name, students in order.get("settled", {}).items():
            for student, questions in students.items():
                settle(book, student, name, questions)
        for assignment in book.assignments:
            for student in book.students:
                entries.append(entry(book, assignment, student))
    json.dump(entries, sys.stdout, default=str)


if __name__ == "__main__":
    main()
