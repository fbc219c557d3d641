"""Signatures of every option, of many keys and of both papers' experiments stay what the first release wrote."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import taunode.conf

from runs.golden import frozen, read
from taunode.plan import compose
from taunode.runs import history
from taunode.runs import signature as identity
from taunode.runs.signature import differences, flatten, scientific, signature

CONF = Path(taunode.conf.__path__[0])
Configs = dict[str, dict[str, Any]]


def signed(configs: Configs) -> dict[str, str]:
    return {line: signature(config) for line, config in configs.items()}


@pytest.fixture(scope="module")
def configs(tmp_path_factory: pytest.TempPathFactory) -> Configs:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAUNODE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("TAUNODE_DATA", raising=False)
        patch.chdir(here := tmp_path_factory.mktemp("here"))
        return frozen(list(read()), here)


def test_they_are_what_they_were(configs: Configs) -> None:
    """See tests/runs/golden.py before you change the file."""
    golden = read()
    assert signed(configs) == golden
    assert len(set(golden.values())) >= 300


def test_every_option_of_every_group_is_among_them() -> None:
    words = {word for line in read() for word in line.split()}
    groups = [path for path in CONF.iterdir() if path.is_dir() and path.name not in ("hydra", "runtime", "experiment")]
    options = {f"{group.name}={file.stem}" for group in groups for file in group.glob("*.yaml")}
    experiments = {path.relative_to(CONF / "experiment") for path in (CONF / "experiment").rglob("*.yaml")}
    options |= {f"experiment={path.with_suffix('').as_posix()}" for path in experiments}
    new = sorted(options - words - {"embedding=default"})  # which an ODE net chooses
    assert not new, "with what else it needs, each has a line: python tests/runs/golden.py " + " ".join(map(repr, new))


def test_the_order_of_keys_changes_none(configs: Configs) -> None:
    def backwards(value: Any) -> Any:
        return {key: backwards(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    assert signed({line: backwards(config) for line, config in configs.items()}) == read()


def test_an_added_key_changes_none_at_its_absent_value_and_each_at_another(
    configs: Configs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key of every class, and a group of its own."""
    marked = identity.absent_values

    def added(group: str, value: Any) -> Configs:
        return {
            line: {**config, group: {**config[group], "later": value}}
            for line, config in configs.items()
            if config.get(group)
        }

    for module in (identity, history):
        monkeypatch.setattr(module, "absent_values", lambda target: {**marked(target), "later": 0.5})
    golden = read()
    for group in ("arch", "tau", "dataset", "schedule", "solver", "embedding"):
        same, other = added(group, 0.5), added(group, 1)
        assert same
        assert signed(same) == {line: golden[line] for line in same}
        assert not set(signed(other).values()) & set(golden.values())
        assert len(set(signed(other).values())) == len(set(signed(same).values()))
        for line, config in same.items():
            assert scientific(config) == scientific(configs[line])
            assert history.upgraded(configs[line])[group]["later"] == 0.5
            assert differences(configs[line], config) == {}
            assert differences(configs[line], other[line]) == {f"{group}.later": (0.5, 1)}
    assert signed({line: {**config, "later": None} for line, config in configs.items()}) == golden
    assert not set(signed({line: {**c, "later": {"a": 1}} for line, c in configs.items()}).values()) & {
        *golden.values()
    }


def test_a_changed_default_changes_exactly_its_runs(
    configs: Configs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = shutil.copytree(CONF, tmp_path / "conf")
    file = conf / "tau" / "power.yaml"
    file.write_text(file.read_text().replace("lr_factor: 0.1", "lr_factor: 0.2"))
    monkeypatch.setattr(compose, "SHIPPED", f"file://{conf}")
    monkeypatch.setenv("TAUNODE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    lines = list(configs)[::3]
    changed = {line: config for line, config in frozen(lines, tmp_path).items() if signature(config) != read()[line]}
    expected = {
        line
        for line in lines
        if dict(flatten(configs[line])).get("tau._target_") == "taunode.models.tau.PowerLaw"  # of which that file is
        and "tau.lr_factor=" not in line
    }
    assert set(changed) == expected
    assert 0 < len(expected) < len(lines)
    for line, config in changed.items():
        assert differences(configs[line], config) == {"tau.lr_factor": (0.1, 0.2)}


def test_a_run_that_lacks_what_came_later_is_upgraded_to_the_same_run(configs: Configs) -> None:
    for line, config in configs.items():
        assert history.upgraded(config) == config
        if (old := as_first_written(config)) is not None:
            assert signature(old) == read()[line]
            assert history.upgraded(old) == {key: config[key] for key in history.upgraded(old)}
            assert all(config[key] is None for key in config.keys() - history.upgraded(old).keys())


def as_first_written(config: dict[str, Any]) -> dict[str, Any] | None:
    """A configuration as the first release would have frozen it; None where it could not have been said."""
    later = identity.at_absence(dict(flatten(config)))
    old: dict[str, Any] = {}
    for group, node in config.items():
        if isinstance(node, dict):
            old[group] = {key: value for key, value in node.items() if f"{group}.{key}" not in later}
        elif group not in later:
            old[group] = node
    for before, today in history.MOVED.items():
        (old_group, old_key), (group, key) = before.split("."), today.split(".")
        if key in old.get(group, {}):
            old[old_group][old_key] = old[group].pop(key)
    for group in history.GROUPS:
        if old.pop(group, None):
            return None
    return old
