"""Prepared directories: whatever a sweep holds, commands read it as data, and go on with the healthy runs beside it.

Every case of the corpus is looked at and worked on; all commands are typed for a few of them, for those that
`TAUNODE_HOSTILE` names (between bars, parts of their names), or for all with `TAUNODE_HOSTILE=all`. With
`TAUNODE_MEASURE=1` no command may take over 5 s.
"""

import os
import shutil
import signal
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli import snapshot
from commands import Commands, Ended
from harness import TINY, plan
from spoilt import CASES, MARKUP, SECRET, STEERING, Case, Spoilt, make_outside
from stand_ins import StandIns, Watched

from taunode.cluster.submission import Submission
from taunode.errors import BadInput, plain
from taunode.runs.directory import SweepDirectory
from taunode.runs.files import Unreadable
from taunode.runs.observe import look
from taunode.runs.runtime import Runtime
from taunode.runs.state import RESULTS, State
from taunode.show.logs import AT_WORK

MEMORY = 3 * 2**30  # bytes of address space that a command may use
HEALTHY = (1, 2, 3)  # seeds
STEERS = [part for part in STEERING.split(" ") if part] + ["\x1b]8;;"]
PLAN = ("runtime.device=cpu", "runtime.threads=1", "runtime.lease_seconds=5")


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> StandIns:
    return StandIns(tmp_path_factory.mktemp("hostile") / "programs")


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory, stand_ins: StandIns) -> Iterator[Commands]:
    folder = tmp_path_factory.mktemp("typed")
    places = {"TAUNODE_TEST_DIARY": "diary", "XDG_STATE_HOME": "state", "TAUNODE_CACHE": "cache", "TMPDIR": "slots"}
    environment = {name: str(folder / place) for name, place in places.items()}
    (folder / "slots").mkdir()
    with Commands(folder / "commands", "quick", MEMORY, **environment, **stand_ins.environment) as made:
        yield made


@pytest.fixture(scope="session")
def with_torch(tmp_path_factory: pytest.TempPathFactory, commands: Commands) -> Iterator[Commands]:
    """The same with the real training; torch alone takes more address space than a command may."""
    with Commands(tmp_path_factory.mktemp("with-torch") / "commands", **commands.environment) as made:
        yield made


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, commands: Commands) -> Path:
    """A sweep of four seeds, of which 1 is done."""
    folder = tmp_path_factory.mktemp("template")
    runs = plan(folder / "sweep", *PLAN, seeds=4, command={"command": ["taunode", "-m"], "overrides": []})
    (name,) = [run.path.name for run in runs if run.path.name.startswith("seed=1-")]
    done = commands.type("taunode-sweep", "worker", f"sweep/runs/{name}", cwd=folder)
    assert done.code == 0, str(done)
    return folder / "sweep"


@dataclass
class Scene:
    """A spoilt sweep in `work/`, the user's own files in `outside/`, and what must hold of every command there."""

    case: Case
    work: Path
    spoilt: Spoilt
    commands: Commands
    stand_ins: StandIns
    watched: Watched
    own: dict[str, tuple[object, ...]]

    @property
    def sweep(self) -> SweepDirectory:
        return self.spoilt.sweep

    def type(self, *words: str, terminal: int | None = None, codes: tuple[int, ...] = (0, 1, 2, 3)) -> Ended:
        return self.check(self.commands.type(*words, cwd=self.work, terminal=terminal), terminal is not None, codes)

    def check(self, ended: Ended, on_terminal: bool = False, codes: tuple[int, ...] = (0, 1, 2, 3)) -> Ended:
        told = str(ended)
        if "Traceback" in told:
            raise AssertionError(f"{ended.words}: {told[-600:]}")
        assert ended.code in codes, told
        assert SECRET not in told
        assert "77.125" not in told
        if on_terminal:
            assert not [part for part in STEERS if part in ended.out]
        else:
            assert all(c.isprintable() or c in "\n\t" for c in ended.out + ended.err), repr(told)
        if ended.code == 2:
            assert ended.out == "" or on_terminal, told
            assert ended.err.rstrip("\n").count("\n") <= len(list_runs(self.sweep)), told
        assert not self.watched.seen()
        assert not self.stand_ins.foreign()
        assert not any(line.lstrip().startswith("touch hit") for line in self.stand_ins.scripts().splitlines())
        assert not (self.work / "hit").exists()
        if "TAUNODE_MEASURE" in os.environ:
            print(f"{ended.seconds:6.2f} s, {ended.processor:6.2f} s of processor: {self.case.name}: {ended.words[:2]}")
            assert ended.seconds < 5, told
        return ended

    def unreadable(self) -> list[str]:
        """The names of the runs that cannot be read."""
        found = []
        for name in list_runs(self.sweep):
            try:
                look(self.sweep.run(name))
            except Unreadable:
                found.append(name)
        return found

    def without_settings(self) -> list[str]:
        """The names of the other runs that nobody can execute as their records say."""
        found = []
        for name in set(list_runs(self.sweep)) - set(self.unreadable()):
            try:
                Runtime.from_config(self.sweep.run(name).read_record().runtime, self.work)
            except BadInput:
                found.append(name)
        return found

    def is_at_work(self) -> bool:
        """Whether somebody else executes a run, or may come back to it: who watches waits for that."""
        names = set(list_runs(self.sweep)) - set(self.unreadable())
        return any(look(self.sweep.run(name))[2] in AT_WORK for name in names)

    def results(self) -> bool:
        """Whether every run has a result."""
        names = list_runs(self.sweep)
        bad = self.unreadable()
        return not bad and all(look(self.sweep.run(name))[2] in RESULTS for name in names)

    def is_untouched(self) -> bool:
        """Whether the user's own files are as they were."""
        return snapshot(self.spoilt.outside) == self.own


def list_runs(sweep: SweepDirectory) -> list[str]:
    try:
        return sweep.named()
    except Unreadable:
        return []


@pytest.fixture
def scene(
    request: pytest.FixtureRequest, tmp_path: Path, template: Path, commands: Commands, stand_ins: StandIns
) -> Iterator[Scene]:
    case: Case = request.param
    work, outside = tmp_path / "work", tmp_path / "outside"
    work.mkdir()
    make_outside(outside)
    shutil.copytree(template, work / "sweep", symlinks=True)
    spoilt = Spoilt(SweepDirectory(work / "sweep"), outside)
    case.spoil(spoilt)
    stand_ins.answer(case.queue)
    own = snapshot(outside)
    watched = Watched(outside)
    yield Scene(case, work, spoilt, commands, stand_ins, watched, own)
    watched.close()
    assert snapshot(outside) == own
    for path, (kind, *_, content) in snapshot(work).items():
        if kind == stat.S_IFREG and isinstance(content, bytes) and path.find("second name") < 0:
            linked = os.lstat(path).st_nlink > 1 and b"notes.txt" in content
            assert linked or SECRET.encode() not in content, path
    shutil.rmtree(work)


NAMED = os.environ.get("TAUNODE_HOSTILE", "")
SAMPLE = ("config: missing", "claim: markup", "run: a link to one outside", "submission: lines of shell")


def named() -> list[Case]:
    """The cases for which all commands are typed."""
    if NAMED in ("", "all"):
        return [case for case in CASES if NAMED or case.name in SAMPLE]
    return [case for case in CASES if any(part in case.name for part in NAMED.split("|"))]


def about(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("scene", cases, ids=lambda case: case.name, indirect=True)


every_case = about(CASES if NAMED in ("", "all") else named())
named_case = about(named())


@every_case
def test_it_is_told_of_and_the_healthy_are_executed(scene: Scene) -> None:
    bad = scene.unreadable()
    before = snapshot(scene.work)
    shown = scene.type("taunode-sweep", "status", "sweep")
    table = scene.type("multirun-analysis", "table", "sweep", "--where", "seed >= 1")
    assert snapshot(scene.work) == before
    if not scene.case.whole:
        assert_all_are_named(bad, shown, 1)
        assert_all_are_named(bad, table, 0)
    ended = scene.type("taunode-sweep", "worker", "sweep")
    if scene.case.whole:
        assert (shown.code, ended.code) in ((1, 1), (1, 2), (2, 2))
    else:
        assert_healthy_are_done(scene, ended)
        assert (ended.code == 0) == scene.results(), str(ended)


def assert_all_are_named(bad: list[str], ended: Ended, code: int) -> None:
    for name in bad:
        assert plain(name) in ended.err, str(ended)
        assert ended.code == code, str(ended)


@named_case
def test_who_looks_sees_all_and_changes_nothing(scene: Scene) -> None:
    before = snapshot(scene.work)
    bad = scene.unreadable()
    first, done = f"sweep/runs/{os.fsdecode(first_name(scene))}", "sweep/runs/" + name_of(scene, 1)
    ways = [
        ("taunode-sweep", "status", "sweep"),
        ("taunode-sweep", "status", "sweep", "--where", "seed >= 0 and state != 'x'"),
        ("taunode-sweep", "logs", "--", done),
        ("taunode-sweep", "list"),
        ("multirun-analysis", "table", "sweep"),
    ]
    if not (scene.sweep.runs / first_name(scene)).is_symlink():  # else the user has typed what it leads to
        ways += [("taunode-sweep", "why", "--", first, done), ("taunode-sweep", "logs", "--", first)]
    if not scene.is_at_work():
        ways += [("taunode-sweep", "status", "sweep", "--watch"), ("taunode-sweep", "logs", "-f", "--", done)]
    ended = {way: scene.type(*way) for way in ways}
    assert snapshot(scene.work) == before
    shown = ended[ways[0]]
    if scene.case.whole:
        assert shown.code in (1, 2)
        return
    for way in ways[:2]:
        assert_all_are_named(bad, ended[way], 1)
    table = scene.type("multirun-analysis", "table", "sweep", "--where", "seed >= 1")  # of one configuration
    assert table.code == 0, str(table)
    assert_all_are_named(bad, table, 0)
    scene.type("taunode-sweep", "status", "sweep", "--all", terminal=120)
    scene.type("multirun-analysis", "table", "sweep", terminal=120)


def name_of(scene: Scene, seed: int) -> str:
    return next((name for name in list_runs(scene.sweep) if name.startswith(f"seed={seed}-")), f"seed={seed}-x")


def first_name(scene: Scene) -> str:
    """The spoilt run, whatever it is called now."""
    healthy = tuple(f"seed={seed}-" for seed in HEALTHY)
    names = [] if scene.case.whole else os.listdir(scene.sweep.runs)
    return next((name for name in names if not name.startswith(healthy)), "none")


@named_case
def test_a_report_shows_it_as_text(scene: Scene) -> None:
    ended = scene.type("multirun-analysis", "report", "sweep")
    assert ended.code == (2 if scene.case.whole else 0), str(ended)
    if ended.code == 0:
        page = (scene.sweep.path / "report.html").read_text(encoding="utf-8")
        assert SECRET not in page
        assert "<script>1</script>" not in page
        assert not [part for part in STEERS if part in page]
        assert not scene.unreadable() or "could not be read" in page


def assert_healthy_are_done(scene: Scene, ended: Ended) -> None:
    for seed in HEALTHY:
        assert look(scene.sweep.run(name_of(scene, seed)))[2] is State.DONE, str(ended)


@named_case
def test_a_worker_executes_the_healthy(scene: Scene) -> None:
    ended = scene.type("taunode-sweep", "worker", "sweep")
    if scene.case.whole:
        assert ended.code in (1, 2), str(ended)  # nothing to read, or no sweep
        return
    assert_healthy_are_done(scene, ended)
    assert (ended.code == 0) == scene.results(), str(ended)
    assert ended.code in (0, 1, 3)
    again = scene.type("taunode-sweep", "worker", "sweep")
    assert again.code == ended.code, str(again)


@named_case
def test_who_resumes_executes_the_healthy(scene: Scene) -> None:
    """On a terminal, with the live table."""
    command = scene.commands.start("taunode-sweep", "resume", "--here", "sweep", cwd=scene.work, terminal=100)
    if scene.case.waits:  # until the other has done its run
        until = time.monotonic() + 60
        while not all(look(scene.sweep.run(name_of(scene, seed)))[2] is State.DONE for seed in HEALTHY):
            assert time.monotonic() < until, "a standstill"
            time.sleep(0.02)
        command.signal(signal.SIGINT)
        scene.check(command.wait(), True, (130,))
        return
    ended = scene.check(command.wait(), True)
    if scene.case.whole:
        assert ended.code in (1, 2), str(ended)  # nothing to read, or no sweep
        return
    assert_healthy_are_done(scene, ended)
    assert (ended.code == 0) == scene.results(), str(ended)


@named_case
def test_slurm_gets_the_healthy_and_no_foreign_word(scene: Scene) -> None:
    ended = scene.type("taunode-sweep", "resume", "sweep", "hydra.launcher.time=5")
    if scene.case.whole or ended.code == 2:
        assert ended.code in (1, 2), str(ended)
        assert scene.stand_ins.scripts() == "", str(ended)
        return
    sent = [one for one in scene.sweep.submissions() if not one.is_symlink() and one.stem.startswith("sweep-")]
    assert sent, str(ended)
    runs = [name for one in sent for name in Submission.read(one).runs]
    assert {name_of(scene, 2), name_of(scene, 3)} <= set(runs), str(ended)
    left_out = [*scene.unreadable(), *scene.without_settings()]
    assert_all_are_named(left_out, ended, 1)
    assert left_out or ended.code == 0, str(ended)


@named_case
def test_a_cancellation_reaches_the_healthy_and_no_foreign_job(scene: Scene) -> None:
    scene.type("taunode-sweep", "cancel", "sweep")
    assert not [call for call in scene.stand_ins.calls() if call[0] == "scancel"]
    ended = scene.type("taunode-sweep", "cancel", "sweep", "--where", "seed >= 0")
    if scene.case.whole:
        assert ended.code in (1, 2)
        return
    for seed in (2, 3):
        assert look(scene.sweep.run(name_of(scene, seed)))[2] is State.CANCELLED, str(ended)
    assert_all_are_named(scene.unreadable(), ended, 1)


@named_case
def test_a_larger_grid_is_planned_or_refused(scene: Scene, with_torch: Commands) -> None:
    before = snapshot(scene.work)
    grid = [*TINY, *PLAN, "seed=0,1,2,3,4", "hydra.sweep.dir=sweep"]
    ended = scene.check(with_torch.type("taunode-sweep", "plan", *grid, cwd=scene.work), codes=(0, 2))
    if ended.code == 2:
        assert ended.err.count("\n") == 1, str(ended)
        assert snapshot(scene.work) == before
    else:
        assert len([name for name in list_runs(scene.sweep) if name.startswith("seed=4-")]) == 1


def test_what_looks_like_markup_is_printed(tmp_path: Path, template: Path, commands: Commands) -> None:
    shutil.copytree(template, tmp_path / "sweep", symlinks=True)
    spoilt = Spoilt(SweepDirectory(tmp_path / "sweep"), tmp_path)
    spoilt.ended(end=MARKUP)
    ended = commands.type("taunode-sweep", "status", "sweep", cwd=tmp_path)
    assert MARKUP in ended.out
