"""Code of your own: what folders that this user names, and packages that are installed, add to what can be built.

A folder (`--config-dir DIR`, or the variable TAUNODE_CONFIG_DIR, which the processes of a command inherit) has options
in Hydra's groups and modules beside them: `DIR/arch/mine.yaml` with `_target_: mine.MyNet`, and `DIR/mine.py`. A
package has an entry point of the group `taunode` with its own name as value, and its options in its folder `conf/`.
The names in these options are the ones that can be built; what a run directory says never adds one.
"""

import functools
import hashlib
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from taunode.errors import BadInput, nearest

VARIABLE = "TAUNODE_CONFIG_DIR"  # folders, with colons between them
SMALL = 2**20  # bytes of all files together, up to which they are kept with a sweep
_TARGET = re.compile(r"^[^#\n]*\b_target_:\s*[\"']?([A-Za-z_][\w.]*)", re.MULTILINE)


def use(folder: Path) -> None:
    """Name a folder, for this process and those that it starts.

    Raises:
        BadInput: its path holds what stands between paths.
    """
    path = folder.resolve()
    if os.pathsep in str(path):
        raise BadInput(f"--config-dir {path}: {os.pathsep!r} stands between folders, and cannot be in one's name")
    os.environ[VARIABLE] = os.pathsep.join(map(str, dict.fromkeys([path, *folders()])))


def folders() -> list[Path]:
    """Those that this user has named."""
    return _paths(os.environ.get(VARIABLE, ""))


def _paths(text: str) -> list[Path]:
    found = (Path(one).expanduser().resolve() for one in text.split(os.pathsep) if one)
    return [*dict.fromkeys(found)]


@functools.cache
def packages() -> tuple[Path, ...]:
    """The directories of the packages that have an entry point. None of them is imported.

    Raises:
        BadInput: an entry point names no package that is installed.
    """
    import importlib.metadata  # 40 ms, which who looks at a sweep need not wait for
    import importlib.util

    found = []
    for point in importlib.metadata.entry_points(group="taunode"):
        spec = importlib.util.find_spec(point.value) if point.value.isidentifier() else None
        if spec is None or not spec.submodule_search_locations:
            raise BadInput(f"entry point taunode:{point.name}: {point.value!r} is not the name of an installed package")
        found.append(Path(spec.submodule_search_locations[0]))
    return tuple(found)


_exported = _paths(os.environ.get(VARIABLE, ""))  # when this process began


def lasting() -> list[Path]:
    """The directories whose options every command line has: those in the variable, and of packages. What a flag names
    is one command's."""
    return [*_exported, *(package / "conf" for package in packages() if (package / "conf").is_dir())]


def options() -> list[Path]:
    """The directories with options of this user's own."""
    return [*dict.fromkeys([*folders(), *lasting()])]


def targets(group: str = "") -> frozenset[str]:
    """Every `_target_` in these options, or in those of one group."""
    return _targets(tuple(options()), group)


@functools.cache
def _targets(directories: tuple[Path, ...], group: str) -> frozenset[str]:
    return frozenset(
        name
        for directory in directories
        for file in option_files(directory, group)
        for name in _TARGET.findall(file.read_text(encoding="utf-8", errors="replace"))
    )


def option_files(directory: Path, group: str = "") -> list[Path]:
    """The YAML files of Hydra's groups in a directory, or of one group: sweeps may lie beside them, and add nothing."""
    groups = [group] if group else _groups()
    return _kept([*directory.glob("*.yaml"), *(file for one in groups for file in (directory / one).rglob("*.yaml"))])


def _kept(files: Iterable[Path]) -> list[Path]:
    """Those that are files: not an editor's locks, which are links to nothing."""
    return sorted({file for file in files if not file.name.startswith(".") and file.is_file()})


@functools.cache
def _groups() -> tuple[str, ...]:
    shipped = Path(importlib.import_module("taunode.conf").__path__[0])
    return tuple(sorted(entry.name for entry in shipped.iterdir() if entry.is_dir() and entry.name.isidentifier()))


def load(target: str, key: str) -> Callable[..., Any]:
    """Import what an option of this user's own names.

    Args:
        key: the group's name, for messages.

    Raises:
        BadInput: its module cannot be imported, or is another one than that in the folder; or it has no such name.
    """
    module, _, name = target.rpartition(".")
    top = module.partition(".")[0]
    homes = [one for one in folders() if (one / f"{top}.py").is_file() or (one / top / "__init__.py").is_file()]
    if len(homes) > 1:
        raise BadInput(f"{key}: {target}: {' and '.join(map(str, homes))} both have a module {top}; call one otherwise")
    for home in homes:
        if str(home) not in sys.path:
            sys.path.append(str(home))  # behind all others: it must not shadow what they need
            importlib.invalidate_caches()
        where = _origin(top)
        if not where.is_relative_to(home):  # looked at before anything of it is executed
            raise BadInput(f"{key}: {target}: {top} is {where}, not a module of {home}; call that one otherwise")
    try:
        loaded = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise BadInput(f"{key}: {target} cannot be imported: {in_one_line(error)}") from error
    file = getattr(loaded, "__file__", module)
    found: Callable[..., Any] | None = getattr(loaded, name, None)
    if found is None or not callable(found):
        classes = [n for n, value in vars(loaded).items() if isinstance(value, type) and value.__module__ == module]
        raise BadInput(f"{key}: {file} has no class {name}; it has: {nearest(name, classes) if classes else 'none'}")
    return found


def _origin(top: str) -> Path:
    """Where Python would find a module of the top level; nothing is imported."""
    import importlib.util

    spec = importlib.util.find_spec(top)
    return Path((spec and spec.origin) or ".").resolve()


def in_one_line(error: BaseException) -> str:
    """What went wrong in code that is not ours, and where."""
    import traceback

    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    frames = [one for one in traceback.extract_tb(error.__traceback__) if not one.filename.startswith("<frozen")]
    own = [one for one in frames if Path(one.filename).parent != Path(__file__).parent] or frames
    said = " ".join(str(error).split())
    return f"{type(error).__name__}{': ' if said else ''}{said} ({own[-1].filename}, line {own[-1].lineno})"


def hint(target: str) -> str:
    """What a name lacks that is not one of ours."""
    module = target.partition(".")[0]
    return "" if module == "taunode" else f"; if {module} is yours, add --config-dir DIR, the folder that has it"


# What is kept of it


def _files() -> Iterator[tuple[str, Path]]:
    """The Python and YAML files of this user's own, each with a name in an archive."""
    for number, folder in enumerate(folders()):
        parts = [*folder.glob("*.py"), *option_files(folder)]
        parts += [file for init in folder.glob("*/__init__.py") for file in init.parent.rglob("*.py")]
        for file in _kept(parts):
            yield f"{number}-{folder.name}/{file.relative_to(folder)}", file
    for package in packages():
        for file in _kept([*package.rglob("*.py"), *package.rglob("*.yaml")]):
            yield f"{package.name}/{file.relative_to(package)}", file


def update(state: "hashlib.blake2b") -> None:
    """Let a digest stand for this code, too; nothing changes where there is none."""
    for name, file in _files():
        content = file.read_bytes()
        state.update(f"{name} {len(content)}\n".encode() + content)


def versions() -> dict[str, str]:
    """The versions of the packages."""
    import importlib.metadata

    points = importlib.metadata.entry_points(group="taunode")
    return {point.value: point.dist.version for point in points if point.dist is not None}


def archive() -> bytes:
    """A zip of these files, the same bytes for the same files; empty where there are none, or they are not small."""
    import io
    import zipfile

    found = list(_files())
    if not found or sum(file.stat().st_size for _, file in found) > SMALL:
        return b""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, file in found:
            made.writestr(zipfile.ZipInfo(name), file.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
