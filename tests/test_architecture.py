"""The floor plan as a test: imports go down or sideways, rooms keep their libraries, functions and files stay small."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "workbench"
FILES = sorted(PACKAGE.rglob("*.py"))

# The first prefix that matches a module gives its floor.
FLOORS = {
    "workbench.schema": 0,
    "workbench.errors": 0,
    "workbench.settings": 0,
    "workbench.training.hparams": 1,
    "workbench.training.knobs": 1,
    "workbench.training.methods": 1,
    "workbench.training.metrics": 1,
    "workbench.training.budget": 1,
    "workbench.training.logps": 1,
    "workbench.training.losses": 1,
    "workbench.training.rl": 1,
    "workbench.evaluation.ratings": 1,
    "workbench.labelling.agreement": 1,
    "workbench.labelling.noise": 1,
    "workbench.labelling.bias": 1,
    "workbench.labelling.worth": 1,
    "workbench.demo.corpus": 1,
    "workbench.demo.judge": 1,
    "workbench.store": 2,
    "workbench.formats": 2,
    "workbench.jobs": 2,
    "workbench.training.team": 3,
    "workbench.training.attention": 3,
    "workbench.training.rows": 3,
    "workbench.training.room": 4,
    "workbench.training.policy": 3,
    "workbench.training.selftest": 3,
    "workbench.training.model": 3,
    "workbench.training.data": 3,
    "workbench.training.cache": 3,
    "workbench.training.snapshot": 3,
    "workbench.training.reference": 3,
    "workbench.training.rollout": 3,
    "workbench.training.actors": 3,
    "workbench.training.checkpoint": 3,
    "workbench.generation": 3,
    "workbench.training": 4,
    "workbench.evaluation": 4,
    "workbench.labelling": 4,
    "workbench.demo.train": 4,
    "workbench.demo": 5,
    "workbench.app": 5,
    "workbench.cli": 5,
}
TORCH = {"torch", "transformers", "peft", "accelerate"}
HEAVY = TORCH | {"datasets"}
EDGES = {"duckdb", "gradio", "fastapi", "pyarrow", "pandas", "huggingface_hub"} | HEAVY


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor_of(module: str) -> int | None:
    return next((f for name, f in FLOORS.items() if module == name or module.startswith(name + ".")), None)


def imports_of(path: Path, *, top_level: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def libraries_of(path: Path, **kwargs: bool) -> set[str]:
    return {name.split(".")[0] for name in imports_of(path, **kwargs)}


def modules(prefix: str) -> list[Path]:
    return [p for p in FILES if module_of(p) == prefix or module_of(p).startswith(prefix + ".")]


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_go_down_or_sideways(path: Path) -> None:
    here = floor_of(module_of(path))
    for name in imports_of(path):
        there = floor_of(name)
        if here is not None and there is not None:
            assert there <= here, f"{module_of(path)} (floor {here}) imports {name} (floor {there})"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_rooms_keep_their_libraries(path: Path) -> None:
    module, used = module_of(path), libraries_of(path)
    floor = floor_of(module)
    if not module.startswith("workbench.store"):
        assert "duckdb" not in used
    if not module.startswith("workbench.app"):
        assert not used & {"gradio", "fastapi"}
    if floor == 0:
        assert not used & EDGES
    if floor == 1:
        assert not used & (EDGES - {"torch"})
    if floor == 2:
        assert not used & (TORCH | {"gradio"})
    if floor == 4 and not module.startswith(("workbench.training", "workbench.demo.train")):
        assert "torch" not in used
    if floor == 3:
        assert not any(name.startswith("workbench.store") for name in imports_of(path))
    if floor == 5:
        assert not libraries_of(path, top_level=True) & HEAVY


@pytest.mark.parametrize("name", ["budget", "hparams", "knobs", "methods"])
def test_the_server_reads_the_registry_without_torch(name: str) -> None:
    assert not libraries_of(PACKAGE / "training" / f"{name}.py") & HEAVY


@pytest.mark.parametrize("path", [p for p in FILES if p.name == "__init__.py"], ids=module_of)
def test_init_files_are_empty(path: Path) -> None:
    assert path.read_text() == ""


@pytest.mark.parametrize("path", [p for p in FILES if p.name != "__init__.py"], ids=module_of)
def test_files_say_what_they_are_and_stay_small(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree), f"{path}: the first line says what the module is"
    assert text.count("\n") <= 350, f"{path}: more than 350 lines"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = node.end_lineno - node.lineno + 1
            assert size <= 60, f"{path}:{node.lineno} {node.name}: {size} lines"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_nothing_unpickles_or_evaluates(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            assert name not in {"eval", "exec", "torch.load", "torch.save", "yaml.load"}, f"{path}:{node.lineno} {name}"
            assert not name.startswith(("pickle.", "joblib.", "os.system", "subprocess.getoutput")), (
                f"{path}:{node.lineno}"
            )


def test_every_module_has_a_floor() -> None:
    assert [module_of(p) for p in FILES if floor_of(module_of(p)) is None and p.parent != PACKAGE] == []
