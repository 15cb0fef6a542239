"""The shape of the project: imports point down, and there is no drawer for everything."""

import ast
import re
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

BASE = Path(__file__).resolve().parents[1]
APPS = ("einvoice_project", "invoices", "lifecycle", "providers")
# The floors of the house, the lowest first. A room (a package, or one module of it that stands lower than the rest) may
# use the floors below and its own; rooms of one line are neighbours, who do not know each other.
FLOORS = """
providers.norm
providers.network
providers.contract
providers.formats
providers.acube providers.afnor providers.billit providers.cegid providers.seqino
providers.cegid_od
providers.connections.sealing
providers.limit_models
providers.models
providers.connections
providers.hooks
providers
einvoice_project.problems einvoice_project.plain_connections
invoices.validation.verdict
invoices.models
invoices.people
invoices.validation
invoices.register
invoices.customers
invoices.drafting
invoices
lifecycle.models
lifecycle.outbox.states
lifecycle.history
lifecycle.inbox
lifecycle.lists
lifecycle.decisions
lifecycle.outbox
lifecycle.watching
lifecycle.pages lifecycle.api
lifecycle
einvoice_project
"""
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS.splitlines()) for room in rooms.split()}
LONGEST_FILE = 600
# Used where production does not come (the sandbox, the embedded database, the compiler of translations), or only with
# requirements/s3.txt.
NOT_IN_PRODUCTION = {"botocore", "polib", "psutil", "storages", "werkzeug"}


def sources(folder: str) -> list[Path]:
    return sorted(path for path in (BASE / folder).rglob("*.py") if "migrations" not in path.parts)


def imported_modules(path: Path, *, with_types: bool = True) -> Iterator[str]:
    """Dotted names, absolute: `from lifecycle import history` gives `lifecycle.history`."""
    package = path.relative_to(BASE).parent.parts
    tree = ast.parse(path.read_text())
    for_types = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    skipped = set() if with_types else {part for node in for_types for part in ast.walk(node)}
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*above, *(node.module or "").split(".")]).strip(".")
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def is_inside(module: str, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


def module_name(path: Path) -> str:
    parts = path.relative_to(BASE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for app in APPS for path in sources(app)}


def module_of(name: str) -> str:
    """The module that a dotted name is, or is in; "" for what is not ours."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name


def room_of(module: str) -> str:
    while module not in FLOOR_OF:
        module = module.rpartition(".")[0]
    return module


def imports_of(path: Path, *, with_types: bool = True) -> set[str]:
    return {module_of(name) for name in imported_modules(path, with_types=with_types)} - {"", module_name(path)}


def is_upward(module: str, other: str) -> bool:
    ours, theirs = room_of(module), room_of(other)
    return ours != theirs and FLOOR_OF[theirs] >= FLOOR_OF[ours]


def test_imports_point_down() -> None:
    upward = [
        f"{module} imports {other}"
        for module, path in MODULES.items()
        for other in imports_of(path)
        if is_upward(module, other)
    ]
    assert upward == []


def test_upward_import_would_be_found() -> None:
    assert is_upward("providers.acube.reading", "lifecycle.history.events")
    assert is_upward("invoices.models.money", "invoices.register.services")
    assert is_upward("lifecycle.pages.worklist", "lifecycle.api.serializers")
    assert not is_upward("lifecycle.history.events", "lifecycle.outbox.states")


def test_no_imports_go_round_in_circles() -> None:
    """Not when modules are loaded, nor in functions; what is imported for types alone is not loaded at all."""
    graph = {module: imports_of(path, with_types=False) for module, path in MODULES.items()}
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()
    TopologicalSorter(graph).prepare()


def test_norm_and_sandbox_stand_alone() -> None:
    """The words of the reform use nothing of ours; the far end shares no code with the adapters it talks to."""
    for room, allowed in (
        ("providers.norm", ["providers.norm"]),
        ("providers.sandbox", ["providers.sandbox", "providers.norm"]),
    ):
        modules = {module: path for module, path in MODULES.items() if is_inside(module, room)}
        foreign = [
            f"{module} imports {other}"
            for module, path in modules.items()
            for other in imports_of(path)
            if not any(is_inside(other, each) for each in allowed)
        ]
        assert foreign == []
        assert not [
            module
            for module, path in modules.items()
            if room == "providers.sandbox" and "django.db" in imported_modules(path)
        ]


def test_map_names_every_module() -> None:
    from .house import TARGET, first_sentence, written

    silent = [module for module, path in MODULES.items() if path.read_text().strip() and not first_sentence(path)]
    assert silent == []
    assert written() == TARGET.read_text(), "run make fix"


def test_no_module_is_a_drawer_for_everything() -> None:
    drawers = {"core", "common", "utils", "util", "helpers", "misc"}
    paths = [path for app in APPS for path in (BASE / app).rglob("*")]
    assert [str(path) for path in paths if path.stem in drawers] == []


def test_files_stay_short() -> None:
    lengths = {path: len(path.read_text().splitlines()) for app in (*APPS, "tests") for path in sources(app)}
    assert {str(path): length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def test_every_imported_package_is_locked_for_production() -> None:
    locked = set(
        re.findall(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==", (BASE / "requirements/production.txt").read_text(), re.MULTILINE)
    )
    origins = packages_distributions()
    imported = {module.split(".")[0] for app in APPS for path in sources(app) for module in imported_modules(path)} - {
        *sys.stdlib_module_names,
        *APPS,
        *NOT_IN_PRODUCTION,
    }
    missing = {
        name for name in imported if not locked & {re.sub(r"[._]", "-", part.lower()) for part in origins.get(name, [])}
    }
    # Types only, never imported when running.
    assert missing - {"django_stubs_ext"} == set()


# --- the way out ------------------------------------------------------------------------------------------------------

# Calls to platforms go through the guarded client of `registry`; the sandbox and the demo only speak to themselves.
CALLS_OUT = {"providers/connections/registry.py", "lifecycle/management/commands/demo.py"}
CLIENTS = {"requests", "urllib.request", "urllib3", "http.client", "aiohttp", "ftplib", "smtplib", "telnetlib"}
OPENING = {"Client", "AsyncClient", "HTTPTransport", "get", "post", "put", "patch", "delete", "request", "stream"}


def _ways_out(path: Path) -> Iterator[str]:
    yield from CLIENTS & set(imported_modules(path))
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = ast.unparse(node.func)
            if (name.startswith("httpx.") and node.func.attr in OPENING) or name == "socket.create_connection":
                yield name


def test_platforms_are_called_through_the_guarded_client_alone() -> None:
    found = {str(path.relative_to(BASE)) for app in APPS for path in sources(app) if [*_ways_out(path)]}
    assert {path for path in found if not path.startswith("providers/sandbox/")} == CALLS_OUT
