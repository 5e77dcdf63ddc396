"""The one exception that is the user's to mend."""


class UserError(Exception):
    """A mistake in what the user gave (a preset, a photo, a folder).

    The command line prints it as one line and exits with code 2.
    """
