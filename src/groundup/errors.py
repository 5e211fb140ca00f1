"""The one exception for what a person got wrong: the command line prints its single line and exits with 2."""


class InputError(ValueError):
    """Something given from outside (a file, a name, a field) cannot be used.

    Its text is one line: what was expected, what was found, what to do. Programming errors keep their own
    exception types, so a traceback always means a defect of ours.
    """
