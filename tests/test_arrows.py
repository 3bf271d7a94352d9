"""Which room of the house knows which: arrows point to floors below, in Python and in C++."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "python" / "diffsim"
SOURCES = Path(__file__).resolve().parent.parent / "src_cpp"

FLOORS = [
    *("errors", "arrays", "species", "plugin", "units"),
    *("potentials", "knots"),
    *("statistics", "theory"),
    *("records", "targets", "reference"),
    *("lammps", "simulation"),
    *("response", "optimizers"),
    *("pool", "training"),
    *("config", "folder", "export"),
    *("report", "run", "cli"),
]
"""Rooms of the Python package from the bottom to the top, as in ARCHITECTURE.md: folders, and files
beside them."""

MOST_LINES = 400
MOST_COLUMNS = 100

INCLUDES = {
    "kernels": {"kernels"},
    "potential": {"potential", "kernels"},
    "lammps": {"lammps", "potential", "kernels"},
    "python": {"python", "potential", "kernels"},
}
"""What files of each folder of the C++ sources may include."""


def modules() -> dict[str, Path]:
    """Names below the package, and files."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found[name.removesuffix(".__init__").replace("__init__", "")] = path
    return found


def imports(path: Path, names: set[str]) -> set[str]:
    """Modules of the package that a file imports, within functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            room = (node.module or "").removeprefix("diffsim").removeprefix(".")
            if (node.module or "").split(".")[0] == "diffsim":
                within = {alias.name: f"{room}.{alias.name}".strip(".") for alias in node.names}
                found |= {name if name in names else room for name in within.values()}
        elif isinstance(node, ast.Import):
            dotted = (alias.name for alias in node.names)
            found |= {name.partition(".")[2] for name in dotted if name.split(".")[0] == "diffsim"}
    return found - {""}  # the compiled core, and the version


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    files = modules()
    return {name: imports(path, set(files)) for name, path in files.items()}


def test_every_module_is_in_a_room(graph):
    assert {name.split(".")[0] for name in graph if name} == set(FLOORS)


def test_no_module_imports_from_a_floor_above(graph):
    level = {room: k for k, room in enumerate(FLOORS)}
    upward = [
        f"{name} -> {other}"
        for name, others in graph.items()
        for other in others
        if name and level[other.split(".")[0]] > level[name.split(".")[0]]
    ]
    assert upward == []


def test_no_modules_import_each_other_in_a_circle(graph):
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def includes(path: Path) -> set[Path]:
    """Files of the project that one includes."""
    names = re.findall(r'^\s*#\s*include "([^"]+)"', path.read_text(), re.M)
    return {found for name in names if (found := (path.parent / name).resolve()).is_file()}


def room_of(path: Path) -> str:
    return path.resolve().relative_to(SOURCES).parts[0]


@pytest.mark.parametrize("folder", sorted(INCLUDES))
def test_includes_point_downward(folder):
    files = [p for p in (SOURCES / folder).rglob("*") if p.suffix in {".h", ".cpp", ".cu"}]
    arrows = {(path.name, room_of(found)) for path in files for found in includes(path)}
    assert arrows
    assert {(name, room) for name, room in arrows if room not in INCLUDES[folder]} == set()


def test_every_folder_of_sources_has_a_floor():
    assert {path.parts[0] for path in (p.relative_to(SOURCES) for p in SOURCES.rglob("*.cpp"))} == {
        *INCLUDES
    }


def test_headers_include_each_other_in_no_circle():
    files = [path for path in SOURCES.rglob("*") if path.suffix in {".h", ".cpp", ".cu"}]
    graph = {path: includes(path) for path in files}
    assert sum(map(len, graph.values())) > 100
    list(TopologicalSorter(graph).static_order())


def test_a_file_has_one_subject():
    """None of the package is longer than 400 lines."""
    files = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyi")]
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in files}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_what_a_target_or_an_optimizer_is_nobody_else_asks():
    """`isinstance` of a concrete one is for its own file: it says itself what others must know."""
    concrete = (
        "RDF|Coordination|Pressure|Density|Energy|Compressibility|Scalar|VACF|MSD|Diffusion|"
        "WindowRDF|WindowAverage|Target|GaussNewton|FirstOrder|IBI|IMC|RelativeEntropy"
    )
    asks = re.compile(rf"isinstance\([^)]*\b({concrete})\b")
    found = {
        (path.name, match.group(1))
        for path in PACKAGE.rglob("*.py")
        for match in asks.finditer(path.read_text())
    }
    assert found == {
        ("rdf.py", "RDF"),
        ("window.py", "WindowAverage"),
        ("system.py", "Target"),  # targets of the motion, before windows are made for them
    }


def test_lines_of_the_sources_fit_on_a_page():
    """Comments and messages as well, which clang-format leaves as they are."""
    sources = [path for path in SOURCES.rglob("*") if path.suffix in (".cpp", ".h", ".cu")]
    assert len(sources) > 50
    long = [
        f"{path.relative_to(SOURCES)}:{number}"
        for path in sources
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > MOST_COLUMNS
    ]
    assert not long
