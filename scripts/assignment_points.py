"""Read the points of a course from nbgrader's gradebook; runs in nbgrader's own Python.

    python scripts/assignment_points.py < ORDER

An order is {"gradebook": PATH, "assignment": NAME, "failed": [STUDENT, ...]} as JSON. Prints a list
with an entry for each student and assignment. What could not be graded is first given 0 points in
the gradebook too, where points of an earlier run might stand.
"""

import json
import sys

from nbgrader.api import Gradebook, MissingEntry


def fail(book, student, assignment):
    """Give every question that tests grade 0 points."""
    book.update_or_create_student(student)
    submission = book.update_or_create_submission(assignment, student)
    for notebook in submission.notebooks:
        for grade in notebook.grades:
            # what a person graded stays as it is: it may have been read from the file by hand
            if grade.cell.cell_type == "code":
                grade.auto_score = 0
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
    try:
        submission = book.find_submission(assignment.name, student.id)
    except MissingEntry:
        return row, None
    row["timestamp"] = submission.timestamp
    row["raw_score"] = submission.score
    row["late_submission_penalty"] = submission.late_submission_penalty
    row["score"] = max(0.0, submission.score - submission.late_submission_penalty)
    ungraded = [
        grade.name
        for notebook in submission.notebooks
        for grade in notebook.grades
        if grade.cell.cell_type == "code" and grade.auto_score is None
    ]
    return row, ungraded


def main():
    order = json.load(sys.stdin)
    rows = []
    with Gradebook("sqlite:///" + order["gradebook"], "saebook") as book:
        for student in order["failed"]:
            fail(book, student, order["assignment"])
        for assignment in book.assignments:
            for student in book.students:
                row, ungraded = entry(book, assignment, student)
                rows.append({"row": row, "ungraded": ungraded})
    json.dump(rows, sys.stdout, default=str)


if __name__ == "__main__":
    main()
