"""First run, later runs and the torch rule, with a real venv and a real pip against wheels of this test's own."""

import ast
import importlib.util
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

LAUNCH = Path(__file__).resolve().parent.parent / "launch.py"
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "preference-workbench"
version = "0.1.0"
dependencies = ["torch>=2.11,<2.14"]
optional-dependencies.test = ["checks"]
"""
BACKEND = """
import shutil

def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "preference_workbench-0.1.0-py3-none-any.whl"
    shutil.copy(name, folder)
    return name
"""
CLI = "import os, sys, torch; print('cli', sys.argv[1:], torch.BUILD, os.getcwd())"
CHECK = "import os, sys; print('{0}', sys.argv[1:], flush=True); sys.exit(int(os.environ.get('{0}_CODE', 0)))"


def wheel(folder: Path, name: str, version: str, requires: tuple[str, ...] = (), **modules: str) -> None:
    """A wheel of text files."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    needs = "Provides-Extra: test\n" + "".join(f"Requires-Dist: {one}\n" for one in requires)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as out:
        for file, text in modules.items():
            out.writestr(file.replace("_dot_", "."), text)
        out.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
        out.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        out.writestr(f"{info}/RECORD", "")


def torch(folder: Path, version: str, *, cuda: bool = False) -> None:
    wheel(folder, "torch", version, ("nvidia-cublas",) if cuda else (), torch_dot_py=f"BUILD = {version!r}")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, all that pip sees."""
    folder = tmp_path / "wheels"
    wheel(folder, "nvidia_cublas", "13.0")
    wheel(folder, "checks", "1.0", (), **{f"{n}_dot_py": CHECK.format(n) for n in ("ruff", "pytest")})
    for name in [n for n in os.environ if n.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    return folder


@pytest.fixture
def checkout(tmp_path: Path, wheels: Path) -> Path:
    folder = tmp_path / "a check out"
    (folder / "workbench").mkdir(parents=True)
    (folder / "workbench" / "__init__.py").touch()
    (folder / "workbench" / "cli.py").write_text(CLI)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "backend.py").write_text(BACKEND)
    needs = ("torch>=2.11,<2.14", "checks; extra == 'test'")
    wheel(folder, "preference_workbench", "0.1.0", needs, it_dot_pth=str(folder))
    shutil.copy(LAUNCH, folder)
    return folder


def launch(checkout: Path, *arguments: str, **kwargs) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / "launch.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd="/", **kwargs)


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("launch_under_test", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_first_run_after_an_interrupted_one_then_runs_at_once(checkout: Path, wheels: Path) -> None:
    torch(wheels, "2.13.0")
    stamp = checkout / ".venv" / "ready"
    command = [sys.executable, str(checkout / "launch.py")]
    heard = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731 (background jobs of a shell ignore it)
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=heard)
    while not (checkout / ".venv").exists():
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGINT)
    said = first.communicate(timeout=60)[1]
    assert first.returncode == 7
    assert said.splitlines()[-1] == "launch.py: interrupted; the same command starts over"
    assert not stamp.exists()

    whole = launch(checkout, "export", "--out", "a b")
    assert whole.returncode == 0, whole.stderr
    assert whole.stdout == "cli ['export', '--out', 'a b'] 2.13.0 /\n", "pip's words are not output"
    assert "preparing" in whole.stderr
    assert stamp.exists()

    start = time.monotonic()
    again = launch(checkout)
    assert (again.stdout, again.stderr) == ("cli ['serve'] 2.13.0 /\n", "")
    assert time.monotonic() - start < 1.5

    (checkout / "pyproject.toml").write_text(PYPROJECT + "# changed\n")
    assert "Preference Workbench and its libraries" in launch(checkout).stderr
    assert launch(checkout).stderr == ""

    spread = ["-n", "auto", "--maxprocesses", "4", "--dist", "loadfile"]
    checks = launch(checkout, "test", "-k", "dpo", env={**os.environ, "ruff_CODE": "3"})
    assert checks.returncode == 3, "the first failure is the exit code"
    assert checks.stdout.splitlines()[-3:] == [
        "ruff ['format', '--check']",
        "ruff ['check']",
        f"pytest {[*spread, '-m', 'not slow', '-k', 'dpo']}",
    ]
    assert "launch.py: ruff format failed" in checks.stderr
    every = launch(checkout, "test", "--slow", env={**os.environ, "pytest_CODE": "1"})
    assert (every.returncode, every.stdout.splitlines()[-1]) == (1, f"pytest {spread}")
    assert launch(checkout).stderr == "", "an environment for the tests serves as well"


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder / "bin" / "python"


RANGE = "torch>=2.11,<2.14"


def test_torch_follows_the_machine(
    checkout: Path, wheels: Path, venv: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = loaded(checkout / "launch.py")
    bare = tmp_path / "bin"
    bare.mkdir()
    monkeypatch.setenv("PATH", str(bare))
    monkeypatch.setattr(module, "PYTHON", venv)
    monkeypatch.setattr(module, "GPU_SIGN", tmp_path / "no such driver")

    torch(wheels, "2.13.1", cuda=True)
    torch(wheels, "2.13.0", cuda=True)
    assert module.torch_build() == [RANGE, "--index-url", module.CPU_WHEELS], "only CUDA builds in reach"
    torch(wheels, "2.13.0+cpu")
    (wheels / "torch-2.13.1-py3-none-any.whl").unlink()
    assert module.torch_build() == [RANGE], "the range itself brings no CUDA"

    torch(wheels, "2.13.1", cuda=True)
    tool = bare / "nvidia-smi"
    tool.touch(mode=0o755)
    assert module.torch_build() == [RANGE], "with a GPU the ordinary torch"
    tool.unlink()
    monkeypatch.setattr(module, "GPU_SIGN", tmp_path)
    assert module.torch_build() == [RANGE], "the driver's folder is a sign as well"


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))


def test_a_disk_that_refuses_leaves_no_environment(checkout: Path) -> None:
    failed = launch(checkout, preexec_fn=limit_files)
    assert failed.returncode == 7
    assert failed.stderr.splitlines()[-1].endswith("is not ready: `python -m venv` failed, its reason is above")
    assert not (checkout / ".venv" / "ready").exists()


AS_A_STRANGER = """
import os, sys
sys.path.insert(0, sys.argv[1])
import launch
if not os.geteuid():
    os.setgid(65534), os.setuid(65534)
sys.exit(launch.main([]))
"""


def test_a_read_only_checkout_says_so() -> None:
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder)
        for source in (LAUNCH, LAUNCH.with_name("pyproject.toml")):
            shutil.copy(source, checkout)
        checkout.chmod(0o555)
        refused = subprocess.run(
            [sys.executable, "-B", "-c", AS_A_STRANGER, folder], capture_output=True, text=True, cwd="/"
        )
        checkout.chmod(0o755)
    assert refused.returncode == 7
    assert len(refused.stderr.splitlines()) == 1
    assert "is read-only: copy the checkout to a folder of yours" in refused.stderr


AS_AN_OLD_PYTHON = """
import sys
sys.version, sys.version_info = "3.9.2 (old)", (3, 9, 2)
sys.path.insert(0, sys.argv[1])
import launch
sys.exit(launch.main([]))
"""


def test_an_old_python_gets_one_line() -> None:
    ast.parse(LAUNCH.read_text(), feature_version=(3, 7))
    command = [sys.executable, "-B", "-c", AS_AN_OLD_PYTHON, str(LAUNCH.parent)]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 2
    assert answer.stderr == "launch.py: Preference Workbench needs Python 3.11 or newer; this is 3.9.2\n"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_real_first_run_brings_no_cuda_to_a_machine_without_a_gpu(tmp_path: Path) -> None:
    module = loaded(LAUNCH)
    if module.has_gpu():
        pytest.skip("this machine has a GPU")
    clone = tmp_path / "a clone"
    subprocess.run(["git", "clone", "--quiet", str(LAUNCH.parent), str(clone)], check=True)
    command = [sys.executable, str(clone / "launch.py"), "project", "list", "--home", str(tmp_path / "home")]
    first = subprocess.run(command, capture_output=True, text=True, cwd="/")
    assert first.returncode == 0, first.stderr[-2000:]
    start = time.monotonic()
    subprocess.run(command, check=True, cwd="/")
    assert time.monotonic() - start < 3
    listed = [clone / ".venv" / "bin" / "python", "-m", "pip", "list", "--format", "json"]
    names = [found["name"] for found in json.loads(subprocess.run(listed, check=True, capture_output=True).stdout)]
    assert "torch" in names
    assert [name for name in names if name.startswith(("nvidia", "triton", "cuda"))] == []
