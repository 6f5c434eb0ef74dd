"""The one exception for what is not our bug: it is shown as a sentence, without a traceback, and ends the command."""


class Failure(Exception):  # noqa: N818 - named by what happened
    """The message says what is wrong with this machine or its setting, and the way out."""
