"""The project itself: imports run one way, the package lists every module, files stay readable."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path for folder in ("compiler", "passes", "runtime", "numfuse") for path in (ROOT / folder).rglob("*.py")
)

# what a layer may import, from the graph up to the face; each layer may import itself
ALLOWED = {
    "numfuse.compiler.types": set(),
    "numfuse.compiler.layouts": {"numfuse.compiler.types"},
    "numfuse.compiler.index": {"numfuse.compiler.types", "numfuse.compiler.layouts"},
    "numfuse.compiler.ops": {"numfuse.compiler.types", "numfuse.compiler.index"},
    "numfuse.compiler.graph": {"numfuse.compiler.types", "numfuse.compiler.ops"},
    "numfuse.compiler.walks": {
        "numfuse.compiler.types",
        "numfuse.compiler.layouts",
        "numfuse.compiler.index",
        "numfuse.compiler.ops",
        "numfuse.compiler.graph",
    },
    "numfuse.passes": {
        "numfuse.compiler.types",
        "numfuse.compiler.layouts",
        "numfuse.compiler.index",
        "numfuse.compiler.ops",
        "numfuse.compiler.graph",
        "numfuse.compiler.walks",
    },
    "numfuse.compiler.trace": {
        "numfuse.compiler.types",
        "numfuse.compiler.layouts",
        "numfuse.compiler.index",
        "numfuse.compiler.ops",
        "numfuse.compiler.graph",
    },
    "numfuse.compiler.kernel": {"numfuse.compiler.types", "numfuse.compiler.index", "numfuse.compiler.graph"},
    "numfuse.compiler.schedule": {"numfuse.compiler.graph"},
    "numfuse.compiler.lower": {
        "numfuse.compiler.schedule",
        "numfuse.compiler.types",
        "numfuse.compiler.layouts",
        "numfuse.compiler.index",
        "numfuse.compiler.ops",
        "numfuse.compiler.graph",
        "numfuse.compiler.kernel",
        "numfuse.compiler.text",
        "numfuse.compiler.walks",
    },
}
# modules that may not reach up to what is named
FORBIDDEN = {
    "numfuse.runtime": {
        "numfuse.compiler.trace.array",
        "numfuse.compiler.jit",
        "numfuse.compiler.staged",
        "numfuse.compiler.lowered",
    },
    "numfuse.compiler": {"numfuse.cli", "numfuse.report"},
}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts if parts[0] == "numfuse" else ("numfuse", *parts))
    return name.removesuffix(".__init__")


def imports_of(path: Path) -> set[str]:
    """The numfuse modules that a file imports at its top level."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("numfuse"):
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("numfuse")}
    return found


def layer_of(module: str, layers: set[str]) -> str | None:
    return max((layer for layer in layers if module == layer or module.startswith(layer + ".")), key=len, default=None)


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_imports_run_one_way(path: Path) -> None:
    module = module_of(path)
    known = {module_of(source) for source in SOURCES}
    imported = {name for name in imports_of(path) if name in known}
    layer = layer_of(module, set(ALLOWED))
    if layer is not None:
        allowed = ALLOWED[layer] | {layer}
        wrong = {
            name
            for name in imported
            if not any(name == ok or name.startswith(ok + ".") for ok in allowed) and name != "numfuse.compiler"
        }
        assert not wrong, f"{module} imports {sorted(wrong)}"
    for prefix, forbidden in FORBIDDEN.items():
        if module.startswith(prefix + "."):
            assert not imported & forbidden, f"{module} imports {sorted(imported & forbidden)}"


def test_the_package_lists_every_folder() -> None:
    declared = set(re.findall(r'"(numfuse[\w.]*)",', (ROOT / "pyproject.toml").read_text()))
    folders = {module_of(path) for path in SOURCES if path.name == "__init__.py"}
    assert folders <= declared


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_modules_import_and_say_what_they_are(path: Path) -> None:
    if "functions" not in path.name and path.name != "device_functions.py":
        importlib.import_module(module_of(path))
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree) or not tree.body, f"{path} has no docstring"


def test_the_wheel_holds_every_module(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", reason="a wheel is built with setuptools")
    for name in ("pyproject.toml", "README.md", "LICENSE", "compiler", "passes", "runtime", "numfuse"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    command = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist", "."]
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        "/".join(("numfuse", *path.relative_to(ROOT).parts)).replace("numfuse/numfuse/", "numfuse/") for path in SOURCES
    }
    assert wanted | {"numfuse/py.typed"} <= held
    assert not [
        name for name in held if name.split("/")[0] not in ("numfuse", wheel.name.split("-py3")[0] + ".dist-info")
    ]


def test_files_stay_short() -> None:
    long = {module_of(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in long.items() if lines > 450} == {}
