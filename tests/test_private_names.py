"""The private names of Hydra, OmegaConf and submitit that the package stands on, each with the reason.

Their releases may change these without a word: setup.cfg has upper bounds, and whoever raises one sees here what broke.
"""

import ast
import importlib
import importlib.metadata
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
FOREIGN = ("hydra", "omegaconf", "submitit")
LOADER = "hydra._internal.config_loader_impl.ConfigLoaderImpl"
SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
COMPLETION = "hydra.plugins.completion_plugin.CompletionPlugin"
EXECUTOR = "submitit.SlurmExecutor"

# name → (its parameters, why there is no public way)
USED = {
    "hydra._internal.callbacks.Callbacks": (
        "config",
        "a sweep's callbacks are called around our sweeper; Hydra.multirun would compose swept keys first",
    ),
    LOADER: ("config_search_path", "1,000 configurations from one search path; hydra.compose reads all of it for each"),
    f"{LOADER}._apply_overrides_to_config": ("overrides, cfg", "+, ++ and ~ on a copy mean what they mean in Hydra"),
    SWEEPER: ("max_batch_size, params", "its name tells that Hydra's own sweeper was chosen"),
    f"{SWEEPER}.split_arguments": ("overrides, max_batch_size", "lists, ranges and globs are made as Hydra makes them"),
    "hydra._internal.utils._run_hydra": (
        "args, args_parser, task_function, config_path, config_name, caller_stack_depth",
        "--hydra-help and --info show what Hydra itself shows",
    ),
    "hydra._internal.utils.create_config_search_path": (
        "search_path_dir",
        "where plugins of the environment add to the search path",
    ),
    "hydra._internal.utils.get_args_parser": ("", "the flags of every Hydra application, to which ours are added"),
    f"{COMPLETION}._query": ("self, config_name, line", "the shells' own scripts ask for this; ours answers"),
    f"{COMPLETION}._query_config_groups": ("self, word, config_name, words", "groups are completed as in Hydra"),
    f"{COMPLETION}._get_matches": ("config, word", "keys are completed as in Hydra"),
    "omegaconf.DictConfig._get_node": (
        "self, key, validate_access, validate_key, throw_on_missing_value, throw_on_missing_key",
        "to list keys without resolving what they hold",
    ),
    "omegaconf.DictConfig._is_none": ("self", "likewise: a group that is null has no keys"),
    f"{EXECUTOR}._convert_parameters": ("self, params", "ours have sbatch's names and units already"),
    f"{EXECUTOR}._make_submission_file_text": ("self, command, uid", "the batch script, shown by a dry run"),
    f"{EXECUTOR}._submit_command": ("self, command", "our tasks in place of a pickle for each"),
}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("_")  # neither __name__ nor Hydra's public _target_


def is_foreign(dotted: str) -> bool:
    return dotted.split(".")[0] in FOREIGN


SOURCES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "taunode").rglob("*.py"))}


def own_names() -> set[str]:
    """Every name that the package itself gives to something."""
    found = set()
    for node in (node for tree in SOURCES.values() for node in ast.walk(tree)):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                found.add(name)
    return found


def names_in(tree: ast.Module, own: set[str]) -> Iterator[str]:
    """The private names that a module's text shows; of an attribute its last part alone, where its owner is a value."""
    private = {}  # a name of this module → what it was imported from
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and is_foreign(node.module or ""):
            for alias in node.names:
                dotted = f"{node.module}.{alias.name}"
                if any(map(is_private, dotted.split("."))):
                    private[alias.asname or alias.name] = dotted
                    yield dotted
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if is_foreign(name.name) and "._" in name.name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and is_foreign(node.value):
            yield from (name for name in [node.value] if "._" in name)
    modules = {
        name.asname or name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if owner in private:
                yield f"{private[owner]}.{node.attr}"
            elif is_private(node.attr) and node.attr not in own and owner not in modules:
                yield node.attr


def overridden() -> Iterator[str]:
    """The private names that classes of ours replace in classes of theirs."""
    for path, tree in SOURCES.items():
        if not any(is_foreign(name) for name in imports(tree)):
            continue
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for cls in (one for _, one in inspect.getmembers(module, inspect.isclass) if one.__module__ == module.__name__):
            theirs = [base for base in cls.__mro__ if is_foreign(base.__module__)]
            own = [name for name, value in vars(cls).items() if is_private(name) and callable(value)]
            yield from (name for name in own if any(name in vars(base) for base in theirs))


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def resolved(dotted: str) -> Any:
    """What a dotted name stands for in the installed release."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for name in parts[count:]:
            found = getattr(found, name)
        return found
    raise ImportError(dotted)


def test_every_private_name_is_listed_and_every_listed_one_is_used():
    own = own_names()
    found = {name for tree in SOURCES.values() for name in names_in(tree, own)} | set(overridden())
    short = {name.rpartition(".")[2]: name for name in USED}
    assert {short.get(name, name) for name in found} == set(USED)


@pytest.mark.parametrize("name", USED)
def test_the_installed_release_has_it_with_the_parameters_that_we_know(name):
    assert ", ".join(inspect.signature(resolved(name)).parameters) == USED[name][0]


def test_the_collector_sees_what_it_is_for():
    tree = ast.parse(
        "from hydra._internal.x import A\nfrom submitit import _b\nimport omegaconf._impl, os\n"
        "A.f()\nos._exit(1)\nconfig._hidden\nself._own\nname = 'hydra._internal.y.Z'\nnode._target_"
    )
    assert set(names_in(tree, {"_own"})) == {
        "hydra._internal.x.A",
        "hydra._internal.x.A.f",
        "submitit._b",
        "omegaconf._impl",
        "_hidden",
        "hydra._internal.y.Z",
    }


def test_the_releases_have_upper_bounds():
    import configparser

    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    bounds = [line.strip() for line in setup["options"]["install_requires"].splitlines()]
    for name in ("hydra-core", "submitit"):
        (bound,) = [line for line in bounds if line.startswith(name)]
        assert "<" in bound
    of_hydra = importlib.metadata.requires("hydra-core") or []
    assert any(line.startswith("omegaconf") and "<" in line for line in of_hydra)
