"""For /etc/jupyter of a hub: where students fetch and hand in. Readable by all, without secrets."""

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "saebook"
c.Exchange.root = "/srv/nbgrader/exchange"
