"""A sweep whose names, values and logs are HTML that would act if it were taken for such."""

from pathlib import Path
from typing import Any

from synthetic import Outcome, configuration, write_runs

from taunode.runs.directory import SweepDirectory
from taunode.runs.files import to_yaml, write_json, write_text

HTML = "</script><script>hit=1</script><img src=x onerror=hit=1>'\"&amp;{{7*7}}"
NAME = HTML.replace("/", "\u2215")  # a file's name holds no slash


def write_hostile(path: Path) -> SweepDirectory:
    """Six runs: two values of one key are HTML, one run has failed, its name is HTML, and so is what it left."""
    configs = [configuration(depth, seed=seed) for depth in (20, 56) for seed in (0, 1)]
    configs += [_named(configuration(20, seed=seed)) for seed in (0, 1)]
    sweep = write_runs(path, configs, _outcome)
    for run in list(sweep):
        if run.read_record().state == "failed":
            record = run.read_record()
            record.attempts[0]["end"] = f"ValueError: {HTML}"
            write_json(run.record, record.to_json())
            write_text(run.log(1), f"epoch 1\n{HTML}\n")
            write_text(run.error(1), f"Traceback\n{HTML}\n")
            run.path.rename(sweep.runs / NAME)
    (sweep.runs / f"{NAME}2").mkdir()  # without any file
    command = {"time": HTML, "command": ["taunode", HTML], "directory": HTML, "runs": 6, "code": {"commit": HTML}}
    write_text(sweep.commands / "a.yaml", to_yaml(command))
    return sweep


def _named(config: dict[str, Any]) -> dict[str, Any]:
    return config | {"dataset": config["dataset"] | {"fingerprint": HTML}}


def _outcome(config: dict[str, Any]) -> Outcome:
    failed = config["seed"] == 1 and config["dataset"]["fingerprint"] == HTML
    return Outcome("failed") if failed else Outcome(error=2.0)
