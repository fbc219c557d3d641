"""`.hydra/` of a run that was executed is what Hydra-aware tools expect."""

import os
import shutil
from pathlib import Path
from typing import Any

from harness import finish, plan
from hydra.types import RunMode
from omegaconf import OmegaConf

from taunode.plan.command_line import about_command
from taunode.plan.compose import Composer
from taunode.runs.directory import RunDirectory
from taunode.runs.observe import look
from taunode.runs.state import State
from taunode.work.hydra_files import write_hydra


def test_a_planned_run_has_none(run: RunDirectory) -> None:
    assert not run.hydra.exists()


def test_it_is_the_run_that_was_executed(run: RunDirectory) -> None:
    finish([run], keep_checkpoint=True)
    config = OmegaConf.load(run.hydra / "config.yaml")
    plain: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert plain == run.read_config()
    assert os.path.samefile(run.hydra / "config.yaml", run.config)
    overrides = OmegaConf.load(run.hydra / "overrides.yaml")
    assert OmegaConf.is_list(overrides)
    assert list(overrides) == run.read_record().overrides
    assert "seed=0" in overrides
    assert OmegaConf.is_dict(OmegaConf.load(run.hydra / "hydra.yaml").hydra)


def test_hydra_yaml_says_where_and_with_which_overrides(tmp_path: Path) -> None:
    overrides = ["arch=resnet20", "dataset=synthetic"]
    composer = Composer.for_command(overrides, None, RunMode.MULTIRUN)
    (run,) = plan(tmp_path / "sweep", *overrides, tiny=(), command=about_command(composer, {}))
    write_hydra(run)
    hydra = OmegaConf.load(run.hydra / "hydra.yaml").hydra
    assert sorted(hydra.overrides.task) == run.read_record().overrides
    assert hydra.job.override_dirname == ",".join(run.read_record().overrides)
    assert hydra.runtime.output_dir == str(run.path.resolve())
    assert hydra.runtime.choices.arch == "resnet20"


def test_what_a_killed_process_left_incomplete_is_completed(run: RunDirectory) -> None:
    run.hydra.mkdir()
    os.link(run.config, run.hydra / "config.yaml")
    write_hydra(run)
    assert sorted(path.name for path in run.hydra.iterdir()) == ["config.yaml", "hydra.yaml", "overrides.yaml"]


def test_a_run_whose_command_file_is_gone_is_executed(run: RunDirectory) -> None:
    shutil.rmtree(run.path.parents[1] / "commands")
    finish([run])
    assert look(run)[2] is State.DONE
    assert OmegaConf.load(run.hydra / "hydra.yaml") == {"hydra": {}}
