"""Refusals of the pages."""

from services.common.exceptions import ForbiddenError, UnprocessableError


class ElsewhereError(Exception):
    """This page is not for now; another one is."""

    def __init__(self, location: str) -> None:
        """Take the path to go to instead."""
        super().__init__(location)
        self.location = location


class ForeignFormError(ForbiddenError):
    """Another site's page has sent the form."""

    title, slug = "This form did not come from here", "foreign-form"

    def __init__(self) -> None:
        super().__init__("Another site has sent this form. Nothing has happened. Open the page here and try again.")


class StaleFormError(ForbiddenError):
    """The form's token is not one of this browser's: it was open for too long, or somebody else is signed in by now."""

    title, slug = "This page was open for too long", "stale-form"

    def __init__(self) -> None:
        super().__init__("This page was open for too long. Please send it again.")


class FieldError(UnprocessableError):
    """A field that is empty, too long, or not what it should be."""

    title, slug = "Please look again", "wrong-field"

    def __init__(self, field: str, sentence: str) -> None:
        """Take the field's name and a sentence for people."""
        super().__init__(sentence)
        self.field = field
