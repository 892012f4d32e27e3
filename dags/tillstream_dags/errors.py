"""What can go wrong in a task. The class decides: a retry may help, or a person has to look."""


class TaskProblem(Exception):
    """The base of both."""


class Unavailable(TaskProblem):
    """Something does not answer, or not yet; the same task may succeed later."""


class Refused(TaskProblem):
    """The same task would fail again, until somebody changes the data or the limits."""
