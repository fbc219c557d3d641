"""What keeps sweeps, and what is said of them: `archive`, `restore`, `note` of the command `taunode-sweep`."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from taunode.command.going_on import NAME
from taunode.errors import BadInput, nearest, plain

RUNNING = "running"  # of what an archive can do without: runs that are at work


def _complete_parts(incomplete: str) -> list[str]:
    """Tab completion of `--without`, also behind a comma."""
    from taunode.runs.manifest import PARTS

    before, comma, last = incomplete.rpartition(",")
    named = before.split(",")
    return [f"{before}{comma}{part}" for part in (*PARTS, RUNNING) if part.startswith(last) and part not in named]


def _complete_tags(context: typer.Context, incomplete: str) -> list[str]:
    """Tab completion of `--untag`: the tags that there are."""
    from taunode.runs.note import noted

    named = context.params.get("sweep")
    return [tag for tag in noted(Path(named)).tags if tag.startswith(incomplete)] if named else []


def archive(
    sweep: Annotated[Path, typer.Argument(help="A sweep directory, or the directory of one run.", metavar="SWEEP")],
    without: Annotated[
        str | None,
        typer.Option(
            help="Leave out, with commas: weights, checkpoints (without them a run that has not ended begins anew), "
            "running (the runs that are at work; else a sweep at work is refused).",
            metavar="PARTS",
            autocompletion=_complete_parts,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The file: SWEEP.zip when nothing is said.", metavar="FILE.zip", dir_okay=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also where there is a file of that name.")] = False,
) -> None:
    """Write all of a sweep into one file, with a digest of each of its files; the same sweep gives the same bytes.

    `multirun-analysis` reads it as it is; `taunode-sweep restore` makes the sweep again, to look at or to go on with.
    """
    from taunode.runs.archive import find, write
    from taunode.runs.files import write_aside
    from taunode.runs.manifest import SUFFIX

    parts = _parts(without)
    whole = sweep if sweep.name not in ("", "..") else sweep.resolve()
    path = whole.with_name(whole.name + SUFFIX) if output is None else output
    if path.suffix != SUFFIX:
        raise BadInput(f"--output {output}: an archive is one {SUFFIX} file")
    if os.path.lexists(path) and not force:
        raise BadInput(f"{path} is there already; --force writes it anew, --output another one")
    runs = _at_rest(sweep, RUNNING in parts)
    if path.resolve().parent.is_relative_to(sweep.resolve()):
        raise BadInput(f"{path} would lie in what it is of; --output elsewhere")
    parts.discard(RUNNING)
    found = find(sweep, parts, runs)
    try:
        with _bar("archive", found.total) as advance:

            def content(file: BinaryIO) -> None:
                write(sweep, found, parts, file, advance)
                if find(sweep, parts, runs) != found:
                    raise BadInput(f"{sweep} has changed while it was read; nothing was written")

            write_aside(path, content, durable=True)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from None
    for name, reason in found.apart.items():
        print(plain(f"{NAME}: left out {name}: {reason}"), file=sys.stderr)
    left_out = f", without {' and '.join(sorted(parts))}" if parts else ""
    print(plain(f"{path}: {len(found.files)} files, {found.total:,} bytes in {path.stat().st_size:,}{left_out}"))


def _parts(without: str | None) -> set[str]:
    from taunode.runs.manifest import PARTS

    valid = (*PARTS, RUNNING)
    named = {part.strip() for part in without.split(",")} if without is not None else set()
    for part in sorted(named - set(valid)):
        raise BadInput(f"--without {part}: no such part; valid: {nearest(part, valid)}")
    return named


def _at_rest(sweep: Path, without_others: bool) -> list[str] | None:
    """The names of the runs that can be archived; None for all that there is.

    Raises:
        BadInput: it is no sweep; or some of it is at work, and nobody said that this shall be left out.
    """
    from taunode.runs.state import State
    from taunode.show.selection import select

    chosen = select(sweep)
    if not chosen.runs and not chosen.broken:
        raise BadInput(f"{sweep}: no runs")
    at_work = [one.run.path.name for one in chosen.runs if one.state in (State.RUNNING, State.QUEUED)]
    if at_work and not without_others:
        more = f" and {len(at_work) - 1} more" if len(at_work) > 1 else ""
        raise BadInput(
            f"{sweep}: {at_work[0]}{more} at work; wait, taunode-sweep cancel, or --without {RUNNING} leaves them out"
        )
    left = [one.run.path.name for one in chosen.runs] + [name for name, _ in chosen.left_out]
    if at_work and set(left) == set(at_work):
        raise BadInput(f"{sweep}: all of its runs are at work")
    return sorted(set(left) - set(at_work)) if at_work else None


def restore(
    file: Annotated[Path, typer.Argument(help="What `taunode-sweep archive` has written.", metavar="FILE.zip")],
    directory: Annotated[
        Path | None, typer.Argument(help="Where to: a new directory, by default the file's name here.", metavar="DIR")
    ] = None,
) -> None:
    """Make the sweep of an archive again: the same files, which `status`, `resume` and `multirun-analysis` take.

    All of it is checked first: names, sizes and digests. What is not as it should be is named, and nothing is written.
    """
    from taunode.paths import placed
    from taunode.runs.manifest import SUFFIX
    from taunode.runs.unpack import opened

    target = placed(Path(file.name.removesuffix(SUFFIX)) if directory is None else directory, "DIR")
    with opened(file) as archived:
        if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
            raise BadInput(f"{target} is there already; name another directory: taunode-sweep restore {file} DIR")
        total = archived.manifest.total
        _check_room(target, total)
        with _bar("check", total) as advance:
            archived.verify(advance)
        try:
            with _bar("restore", total) as advance:
                archived.unpack(target, advance=advance)
        except OSError as error:
            raise BadInput(f"cannot write {target}: {error.strerror}") from None
        left_out = archived.manifest.without
    without = f", without {' and '.join(left_out)}" if left_out else ""
    print(plain(f"{os.path.relpath(target)}: {len(archived.manifest.files)} files, {total:,} bytes{without}"))


def note(
    sweep: Annotated[Path, typer.Argument(help="A sweep directory, or the directory of one run.", metavar="SWEEP|RUN")],
    text: Annotated[
        str | None, typer.Argument(help='What to note, one line; "" takes it away. Without it, show.', metavar="TEXT")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Add a tag.", metavar="WORD")] = None,
    untag: Annotated[
        list[str] | None,
        typer.Option("--untag", help="Take one away.", metavar="WORD", autocompletion=_complete_tags),
    ] = None,
) -> None:
    """Note something of a sweep or a run, or tag it: `list`, `status`, tables and reports show it.

    A note is a file of yours in its directory and no part of what a run is. Tags are keys of conditions:
    taunode-sweep status SWEEP --where '"good" in tags'
    """
    from dataclasses import replace

    from taunode.paths import resolved
    from taunode.runs.directory import runs_of
    from taunode.runs.note import checked, checked_tag, read_note, write_note

    runs_of(sweep)  # it is one
    place = resolved(sweep)
    more, fewer = ({checked_tag(word) for word in words or []} for words in (tag, untag))
    known = read_note(place)
    if missing := sorted(fewer - set(known.tags)):
        raise BadInput(f"--untag {missing[0]}: {sweep} has no such tag; it has: {', '.join(known.tags) or 'none'}")
    new = replace(known, tags=tuple(sorted((set(known.tags) | more) - fewer)))
    new = new if text is None else replace(new, note=checked(text))
    if new != known:
        try:
            write_note(place, new)
        except OSError as error:
            raise BadInput(f"cannot write into {sweep}: {error.strerror}") from None
    print(plain(f"{sweep}: {new or 'nothing is noted'}"))


def _check_room(target: Path, size: int) -> None:
    import shutil

    there = next(parent for parent in target.parents if parent.is_dir())
    if size > (free := shutil.disk_usage(there).free):
        raise BadInput(f"{target} would have {size:,} bytes, and {free:,} are free")


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[int], object]]:
    """A bar on a terminal, while something works through so many bytes."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)
