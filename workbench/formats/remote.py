"""What push and fetch share: the job folder, the token, retries, and words for what a Hub answers."""

import argparse
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from workbench.errors import InputError, WorkbenchError
from workbench.jobs.folder import read_json, write_json

TOKEN = re.compile(r"hf_[A-Za-z0-9]{8,}")
WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)
HINTS = {
    401: "the Hub does not know the token: sign in with `hf auth login` or set HF_TOKEN",
    403: "the token may not do this: it needs the right to write to the repository",
    404: "the Hub has no such repository, revision or file, or keeps it from you",
    412: "someone else changed the repository meanwhile: try again",
}
T = TypeVar("T")


def run_job(work: Callable[[dict[str, Any]], dict[str, Any]], doc: str) -> None:
    """`--job FOLDER`: config.json in, result.json out. No token ever stands in either."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--job", type=Path, required=True)
    folder = parser.parse_args().job
    try:
        result = work(read_json(folder / "config.json"))
    except WorkbenchError as error:
        result = {"error": error.message}
    except Exception as error:
        result = {"error": told(error)}
    write_json(folder / "result.json", result)


def told(error: Exception) -> str:
    """One line about a failure, without the token."""
    status = status_of(error)
    text = " ".join(str(error).split())[:300]
    hint = HINTS.get(status or 0)
    return TOKEN.sub("hf_***", f"{hint} ({text})" if hint else f"the Hub did not do it: {text or type(error).__name__}")


def status_of(error: Exception) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def patiently(call: Callable[[], T]) -> T:
    """The call, again after a pause while the Hub is busy, broken or out of reach."""
    for wait in WAITS:
        try:
            return call()
        except Exception as error:
            status = status_of(error)
            busy = status == 429 or (status or 0) >= 500
            if not busy and (status is not None or not type(error).__module__.startswith("httpx")):
                raise
            time.sleep(wait)
    return call()


def repository(name: str) -> str:
    """A name that the Hub itself would take: never a path, never an address."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        raise InputError(f"{name!r} is not a Hub repository: write owner/name") from None
    return name


def api() -> HfApi:
    return HfApi(token=get_token() or False)
