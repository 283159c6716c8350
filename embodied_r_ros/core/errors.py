"""The errors of embodied_r_ros, told apart by what the caller can do about them.

EmbodiedRError
├── SettingsError          fix the setting and start again
├── InputError             leave out this frame, sample or question
│   ├── UnsupportedQuestion    ask in one of the forms that the message names
│   └── CannotTell             what is asked is not in what was seen
├── BackendError           a model server or model did not do its part
│   ├── BackendTimeout         try again, or allow more time
│   ├── BackendUnavailable     try again when the server is back
│   └── BackendRefused         the same request will fail again
└── ReplyError             the model spoke, unreadably
"""


class EmbodiedRError(Exception):
    """Root of every error that this package raises on purpose."""


class SettingsError(EmbodiedRError):
    """A setting is unknown, of the wrong type or out of range."""


class InputError(EmbodiedRError):
    """A frame, bag, question or sample cannot be used."""


class UnsupportedQuestion(InputError):
    """The question is well formed, but this reasoner knows no such question."""


class CannotTell(InputError):
    """The question is understood, but the observations do not hold what it asks about."""


class BackendError(EmbodiedRError):
    """A model server or an in-process model did not do its part."""


class BackendTimeout(BackendError):
    """The deadline passed before the model answered."""


class BackendUnavailable(BackendError):
    """The server cannot be reached, or broke off."""


class BackendRefused(BackendError):
    """The server understood the request and declined it."""


class ReplyError(EmbodiedRError):
    """The model's reply cannot be read.

    Attributes:
        raw: the reply as it came.
    """

    def __init__(self, message: str, raw: str) -> None:
        super().__init__(message)
        self.raw = raw
