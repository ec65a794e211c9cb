"""python launch.py: prepares .venv beside itself on the first run, then starts Preference Workbench.

    python launch.py                  the server, with the page's address
    python launch.py ARGS             `workbench ARGS`, for example: python launch.py export --help
    python launch.py test [--slow]    the checks of CI: formatting, lint, tests (and pytest's own arguments)

Standard library only. Leaves out everything the program itself does.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "ready"
GPU_SIGN = Path("/proc/driver/nvidia")
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
NEEDED_GB = {"cpu": 3, "gpu": 12}
UNPREPARED = 7
SIDE_BY_SIDE = ["-n", "auto", "--maxprocesses", "4", "--dist", "loadfile"]  # pytest, a file to a process at a time


def main(arguments):
    if sys.version_info < (3, 11):  # noqa: UP036 (the older Python that runs this line is the one to tell)
        return say("Preference Workbench needs Python 3.11 or newer; this is " + sys.version.split()[0], 2)
    testing = arguments[:1] == ["test"]
    try:
        prepare("test" if testing else "")
        if testing:
            return test(arguments[1:])
    except KeyboardInterrupt:
        return say("interrupted; the same command starts over", UNPREPARED)
    except subprocess.CalledProcessError as error:
        return say(f"{VENV} is not ready: `python -m {error.cmd[2]}` failed, its reason is above", UNPREPARED)
    except OSError as error:
        return say(f"{VENV} is not ready: {error}", UNPREPARED)
    return os.execv(PYTHON, [PYTHON, "-P", "-m", "workbench.cli", *(arguments or ["serve"])])  # noqa: S606


def say(line, code=0):
    print(f"launch.py: {line}", file=sys.stderr, flush=True)
    return code


def prepare(extra):
    """Bring .venv to what pyproject.toml asks for. The stamp, written last, says that it is there."""
    if ready(extra):
        return
    with (ROOT / "pyproject.toml").open() as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)  # a second launch waits for the first
        if not ready(extra):
            install(extra)
            STAMP.write_text(f"{wanted()} {extra}")


def ready(extra):
    if not PYTHON.exists() or not STAMP.exists():
        return False
    return STAMP.read_text() in {f"{wanted()} {extra}", f"{wanted()} test"}


def wanted():
    """Names what .venv is for: the requirements and the place, for the package is installed by its path."""
    return hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + os.fsencode(ROOT)).hexdigest()


def install(extra):
    """Torch first, so that the package finds it there and pulls no other build of it."""
    check_room()
    if not PYTHON.exists() or not STAMP.exists():  # nothing there, or something half done
        say(f"preparing {VENV}: once, a few minutes")
        run([sys.executable, "-m", "venv", "--clear", VENV])
    STAMP.unlink(missing_ok=True)
    say("PyTorch ...")
    run([PYTHON, "-m", "pip", "install", *torch_build()])
    say("Preference Workbench and its libraries ...")
    run([PYTHON, "-m", "pip", "install", "--editable", f".[{extra}]" if extra else "."])
    say("ready")


def check_room():
    if not os.access(ROOT, os.W_OK):
        raise PermissionError(f"{ROOT} is read-only: copy the checkout to a folder of yours")
    needed, free = NEEDED_GB["gpu" if has_gpu() else "cpu"], shutil.disk_usage(ROOT).free >> 30
    if not PYTHON.exists() and free < needed:
        raise OSError(f"{ROOT} has {free} GB free, {needed} GB are needed")


def run(command):
    """Show pip's progress as words to the person, not as output of the command that follows."""
    subprocess.run(command, check=True, cwd=ROOT, stdout=sys.stderr)


def has_gpu():
    return bool(shutil.which("nvidia-smi")) or GPU_SIGN.exists()


def torch_build():
    """pip's arguments for the torch of this machine: without a GPU the first build that brings no CUDA."""
    wanted_range = next(d for d in project()["dependencies"] if d.startswith("torch"))
    if has_gpu():
        return [wanted_range]
    return [wanted_range, "--index-url", CPU_WHEELS] if brings_cuda([wanted_range]) else [wanted_range]


def project():
    import tomllib  # not in the Pythons that get only the one line above

    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def brings_cuda(build):
    """Let pip resolve without installing, and look at the names."""
    command = [PYTHON, "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-", *build]
    report = json.loads(subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE).stdout)
    names = [found["metadata"]["name"].lower() for found in report["install"]]
    return any(name.startswith(("nvidia", "triton", "cuda", "pytorch-triton")) for name in names)


def test(arguments):
    """Formatting, lint and tests, all of them even when one fails; the first failure is the exit code."""
    chosen = [] if "--slow" in arguments else ["-m", "not slow"]
    checks = {
        "ruff format": ["ruff", "format", "--check"],
        "ruff check": ["ruff", "check"],
        "pytest": ["pytest", *SIDE_BY_SIDE, *chosen, *(a for a in arguments if a != "--slow")],
    }
    codes = {name: subprocess.run([PYTHON, "-m", *words], cwd=ROOT).returncode for name, words in checks.items()}
    for name, code in codes.items():
        if code:
            say(f"{name} failed")
    return next((code for code in codes.values() if code), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
