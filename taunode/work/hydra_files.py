"""`.hydra/` as Hydra itself would have left it, for tools that read Hydra's directories."""

from typing import Any

from taunode.runs.directory import RunDirectory, read_yaml, to_yaml, write_text


def write_hydra(run: RunDirectory, runtime: dict[str, Any]) -> None:
    """Write config.yaml, overrides.yaml and hydra.yaml, once: when the run is first executed.

    Args:
        runtime: what it is executed with; a frozen configuration has none.
    """
    if (run.hydra / "hydra.yaml").exists():  # the last of the three
        return
    record = run.read_record()
    config = {**run.read_config(), "runtime": runtime}
    command = read_yaml(run.path / record.command) if record.command else {}
    hydra = command.get("hydra", {})
    if hydra:
        hydra["overrides"]["task"] = record.overrides
        hydra["job"]["override_dirname"] = ",".join(record.overrides)
        hydra["runtime"]["output_dir"] = str(run.path.resolve())
    run.hydra.mkdir(exist_ok=True)
    write_text(run.hydra / "config.yaml", to_yaml(config))
    write_text(run.hydra / "overrides.yaml", to_yaml(record.overrides))
    write_text(run.hydra / "hydra.yaml", to_yaml({"hydra": hydra}))
