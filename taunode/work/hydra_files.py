"""`.hydra/` as Hydra itself would have left it, for tools that read Hydra's directories."""

import os
from typing import Any

from taunode.runs.directory import RunDirectory
from taunode.runs.files import Unreadable, read_yaml, to_yaml, write_text
from taunode.runs.record import of_this_format


def write_hydra(run: RunDirectory) -> None:
    """Write config.yaml, overrides.yaml and hydra.yaml, once: when the run is first executed.

    config.yaml is a second name of the frozen configuration, which has no runtime settings: those are in run.json.

    Hydra's own node is empty where the command that added the run cannot be read: no training needs it.

    Raises:
        Unreadable: the run's directory is not as taunode makes it.
    """
    if os.path.lexists(run.hydra / "hydra.yaml"):  # the last of the three
        return
    record = run.read_record()
    hydra = {} if record.command is None else _hydra_of(run, record.command)
    if hydra:
        hydra["overrides"]["task"] = record.overrides
        hydra["job"]["override_dirname"] = ",".join(record.overrides)
        hydra["runtime"]["output_dir"] = str(run.path.resolve())
    run.hydra.mkdir(exist_ok=True)
    if run.hydra.is_symlink():
        raise Unreadable(run.hydra, "is a symbolic link")
    if not os.path.lexists(run.hydra / "config.yaml"):
        os.link(run.config, run.hydra / "config.yaml", follow_symlinks=False)
    write_text(run.hydra / "overrides.yaml", to_yaml(record.overrides))
    write_text(run.hydra / "hydra.yaml", to_yaml({"hydra": hydra}))


def _hydra_of(run: RunDirectory, command: str) -> dict[str, Any]:
    """Hydra's own node, as the command that added the run recorded it."""
    path = run.path / command
    try:
        if path.parent.is_symlink():
            return {}
        hydra = of_this_format(read_yaml(path), path)["hydra"]
        return {
            **hydra,
            "overrides": dict(hydra["overrides"]),
            "job": dict(hydra["job"]),
            "runtime": dict(hydra["runtime"]),
        }
    except (Unreadable, KeyError, TypeError, ValueError):  # removed, or made from Python: there was no Hydra
        return {}
