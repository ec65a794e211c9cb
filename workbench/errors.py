"""Every error a user can meet: what went wrong, with which thing, and the way out. Our own invariants use `assert`."""

INTERRUPTED = 130  # how a command ends on Ctrl-C


class WorkbenchError(Exception):
    """Base of all. `status` is the HTTP answer, `exit_code` the end of a command, `code` a word for programs."""

    status = 400
    exit_code = 1
    code = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code


class UsageError(WorkbenchError):
    """A value the caller gave is not acceptable: names the value and what is."""

    status, exit_code, code = 422, 2, "invalid"


class NotAllowed(WorkbenchError):
    status, code = 403, "not_allowed"


class NotFound(WorkbenchError):
    status, code = 404, "not_found"


class Conflict(WorkbenchError):
    """The thing changed in the meantime: `uid_reused`, `already_labelled`, `taken`, ..."""

    status, code = 409, "conflict"


class Withdrawn(WorkbenchError):
    status, code = 410, "withdrawn"


class InputError(WorkbenchError):
    """A file or line that cannot be read as it claims to be: names file, line and reason."""

    status, code = 422, "bad_input"


class ModelError(WorkbenchError):
    """A model folder that is incomplete, unsafe or does not fit."""

    status, code = 422, "bad_model"


class EngineError(WorkbenchError):
    """Training or generation cannot go on: names row, value and way out."""

    code = "engine"


class StorageUnavailable(WorkbenchError):
    """The disk refuses: nothing was stored, reads go on."""

    status, code = 503, "storage"


class HomeInUse(WorkbenchError):
    status, exit_code, code = 409, 3, "home_in_use"


class PortInUse(WorkbenchError):
    exit_code, code = 4, "port_in_use"


class StoreDamaged(WorkbenchError):
    status, exit_code, code = 503, 5, "store_damaged"


class Gap(StoreDamaged):
    """What is lost lies in neither half of the store, so a rebuild cannot bring it back: names what to put back."""


class NewerSchema(WorkbenchError):
    exit_code, code = 6, "newer_schema"


class HomeUnusable(WorkbenchError):
    """No permission, no space, or not ours."""

    exit_code, code = 7, "home_unusable"
