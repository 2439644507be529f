"""The rooms of the package: which may import which, and how large their parts are."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import skdepict

ROOT = Path(skdepict.__file__).parent
MAX_LINES_OF_FILE = 450
MAX_LINES_OF_FUNCTION = 50
MAX_PARAMETERS = 20

# What each room may import, beside itself and what everybody may.
ROOMS = {
    "report": {
        "_depict",
        "_typicality",
        "plotting",
        "persistence",
        "networks",
        "_data",
    },
    "__main__": {"_depict", "_typicality", "persistence", "report", "_data"},
    "benchmark": {"_depict", "_path_integral", "plotting", "persistence", "metrics"},
    "_depict": {
        "_typicality",
        "_training",
        "_path_integral",
        "persistence",
        "networks",
        "_data",
    },
    "plotting": {"_data"},
    "_training": {"_path_integral", "networks", "_data", "persistence._checkpoint"},
    "persistence": {"networks", "_data"},
    "networks": {"_data"},
    "_path_integral": {"_data"},
    "metrics": {"_data"},
    "datasets": {"_data"},
    "_data": set(),
    "_surroundings": set(),
    "_typicality": {"_data"},
}
FOR_EVERYBODY = {"", "_surroundings"}  # "" is skdepict itself, with its __version__


def module_of(path):
    """The name of a file's module within the package; "" is the package itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_of(path): path for path in sorted(ROOT.rglob("*.py"))}
LINES = {name: path.read_text().splitlines() for name, path in SOURCES.items()}
TREES = {name: ast.parse("\n".join(lines)) for name, lines in LINES.items()}


def imports_of(module):
    """Modules of the package that one imports anywhere, also within functions."""
    package = "skdepict." + module
    if SOURCES[module].name != "__init__.py":
        package = package.rpartition(".")[0]
    found = set()
    of_checkers = {
        inner
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(TREES[module]):
        if node in of_checkers:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            found |= {home_of(source, alias.name) for alias in node.names}
    inside = {name for name in found if name.split(".")[0] == "skdepict"}
    return {name.partition(".")[2] for name in inside} - {module}


def home_of(source, name):
    """The module that ``from source import name`` reads a name of the package from."""
    if source == "skdepict":
        source = skdepict._HOMES.get(name, source)
    inner = f"{source}.{name}"
    return inner if inner.partition(".")[2] in SOURCES else source


def room_of(module):
    return module.split(".")[0]


def may_import(room, module):
    allowed = ROOMS[room] | FOR_EVERYBODY | {room}
    return room_of(module) in allowed or module in allowed


def is_private(name):
    """Whether a part of a dotted name has one underscore in front."""
    return any(part[0] == "_" and part[-2:] != "__" for part in name.split("."))


def lines_of(function, module):
    """The lines of a function without docstrings and comments."""
    lines = set(range(function.lineno, function.end_lineno + 1))
    for node in ast.walk(function):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            docstring = node.body[0]
            lines -= set(range(docstring.lineno, docstring.end_lineno + 1))
    source = [LINES[module][line - 1].lstrip() for line in sorted(lines)]
    return [line for line in source if not line.startswith("#")]


def test_every_module_has_a_room():
    assert {room_of(module) for module in SOURCES} - {""} <= set(ROOMS)


def test_rooms_import_only_what_is_below_them():
    wrong = [
        f"{module} -> {imported}"
        for module in SOURCES
        if module
        for imported in sorted(imports_of(module))
        if not may_import(room_of(module), imported)
    ]
    assert wrong == []


def test_rooms_are_in_no_circle():
    rooms = {
        room: {room_of(name) for name in below} - {room}
        for room, below in ROOMS.items()
    }
    TopologicalSorter(rooms).prepare()


def test_modules_are_in_no_circle():
    TopologicalSorter({module: imports_of(module) for module in SOURCES}).prepare()


def test_benchmark_uses_public_names_only():
    wrong = [
        f"{module}, line {node.lineno}: from {node.module} import {alias.name}"
        for module in SOURCES
        if room_of(module) == "benchmark"
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.ImportFrom) and node.module.startswith("skdepict")
        for alias in node.names
        if is_private(f"{node.module}.{alias.name}")
    ]
    assert wrong == []


def test_path_integral_does_without_torch():
    room = [f"skdepict.{name}" for name in SOURCES if room_of(name) == "_path_integral"]
    program = f"import sys, {', '.join(room)}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_file_fits_in_a_head():
    lengths = {module: len(lines) for module, lines in LINES.items()}
    # The reference that users read is no burden to who reads the code.
    (estimator,) = (
        node for node in TREES["_depict"].body if isinstance(node, ast.ClassDef)
    )
    lengths["_depict"] = len(lines_of(estimator, "_depict"))
    assert {m: n for m, n in lengths.items() if n > MAX_LINES_OF_FILE} == {}


def test_parameters_can_be_kept_in_mind():
    for name in skdepict.__all__:
        estimator = getattr(skdepict, name)
        if hasattr(estimator, "get_params"):
            assert len(estimator().get_params()) <= MAX_PARAMETERS, name


def test_a_function_fits_on_a_page():
    lengths = {
        f"{module}: {function.name}": len(lines_of(function, module))
        for module, tree in TREES.items()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {f: n for f, n in lengths.items() if n > MAX_LINES_OF_FUNCTION} == {}
