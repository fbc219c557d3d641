"""The command `taunode-sweep reproduce`: which code would be executed, the question, and what came of it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from taunode.command.going_on import NAME
from taunode.errors import BadInput, plain


def reproduce(
    run: Annotated[Path, typer.Argument(help="The directory of a run that has a result.", metavar="RUN")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Execute the recorded code without a question, patch included.")
    ] = False,
    repository: Annotated[
        Path | None, typer.Option(help="A clone that has the recorded commit; by default taunode's own.", metavar="DIR")
    ] = None,
    install: Annotated[
        bool, typer.Option("--install", help="The recorded versions of the libraries, in an environment of its own.")
    ] = False,
    directory: Annotated[
        Path | None, typer.Option(help="Where to: SWEEP-reproduced/RUN beside the sweep by default.", metavar="DIR")
    ] = None,
    config_dir: Annotated[
        Path | None, typer.Option(help="The directory of your own options and modules that it ran with.")
    ] = None,
) -> None:
    """Run a run again with the code that was recorded, patch included, beside the old one, and compare.

    DIR/code is a git worktree of the recorded commit with the recorded patch, DIR/run the new run. Exit code 0 where
    every byte of the metrics is the same, 1 where one is not. The same command goes on with what was cut off.
    """
    from taunode.command import reproduction as again
    from taunode.paths import placed
    from taunode.runs.directory import RunDirectory
    from taunode.show.selection import one_run

    found = again.recorded(one_run(run))
    if found.own is not None and config_dir is None:
        copy = f"; a copy is {found.own}, beside its command" if found.own else ""
        raise BadInput(f"{run} ran with code of its user's own: --config-dir DIR names it{copy}")
    place = found.place if directory is None else placed(directory, "--directory")
    source = again.repository_with(found.commit, repository, found.repository)
    _consent(run, found.commit, again.files_of(found.patch, source), source, yes)
    for name, then, now in again.versions(found):
        print(plain(f"{name}: {then} then, {now} here"), flush=True)
    again.check_out(found, source, place)
    python = again.install(found, place) if install else Path(sys.executable)
    code = again.execute(place, python, config_dir)
    if code == 130:
        sys.exit(130)
    if code:
        print(f"{NAME}: the run has no result; see {place / 'run'}", file=sys.stderr)
        sys.exit(1)
    new = RunDirectory(place / "run")
    then, now = again.digests(found, new)
    if then and now and then != now:
        print(f"code: {then} then, {now} now: something was neither committed nor in the patch, such as a new file")
    compared = again.compare(found, new)
    for line in compared.said:
        print(plain(line))
    print(plain(f"remove it:  git -C {source} worktree remove --force {place / 'code'}; rm -r {place}"))
    sys.exit(0 if compared.identical else 1)


def _consent(run: Path, commit: str, files: list[str], source: Path, yes: bool) -> None:
    """Say which code will be executed, and ask.

    Raises:
        BadInput: the answer is no, or there is nobody to ask.
    """
    print(plain(f"{run} asks to execute the code of commit {commit[:12]}, from {source}"), file=sys.stderr)
    if files:
        print("with a recorded patch, which anybody may have written, of:", file=sys.stderr)
        for line in files:
            print(plain(f"  {line}"), file=sys.stderr)
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadInput(f"{run}: nothing was executed; --yes if the above shall be")
    if not typer.confirm("Execute it?", err=True):
        raise BadInput(f"{run}: nothing was executed")
