"""What a user can mend: raised where their value enters, printed on one line, never a traceback.

Every message names the value (a file, a knob, a site), what was expected and the likely cause.
"""


class FedadError(ValueError):
    """The base of all errors that a user can mend."""

    exit_code = 1


class ConfigError(FedadError):
    """A knob is unknown, or its value cannot be."""

    exit_code = 2


class BusyError(ConfigError):
    """Another process is at what only one may do at a time."""


class DataError(FedadError):
    """A file or folder of images, masks, weights or a bank is missing or not what it should be.

    `reason` is a word for it that names nothing, so that it may leave a site
    (`fedad/messages/faults.py`).
    """

    exit_code = 3

    def __init__(self, message: str, reason: str = "data") -> None:
        super().__init__(message)
        self.reason = reason


class BadFileError(DataError):
    """One of many files cannot be used; a run goes on without it, as long as they are few."""


class MismatchError(FedadError):
    """Two things that only work together were made differently, such as banks of two backbones."""


class UploadError(FedadError):
    """What a site sent cannot be used; `reason` is a word for it (`docs/robustness.md`)."""

    def __init__(self, message: str, reason: str = "content") -> None:
        super().__init__(message)
        self.reason = reason
