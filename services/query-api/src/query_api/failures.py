"""Why a question has no answer, besides an outage; the edge turns each into its status code."""

from tillstream.errors import Rejected


class BadParameter(Rejected):
    """A parameter breaks a rule that its own form cannot show. `place` is where it stands: `query` or `path`."""

    def __init__(self, name: str, message: str, place: str = "query") -> None:
        super().__init__(f"Parameter {name}: {message}.")
        self.name = name
        self.message = message
        self.place = place


class NotThere(Rejected):
    """The one thing that was asked for does not exist; the text says so in a sentence."""
