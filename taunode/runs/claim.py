"""The claim: who owns a run, so that of any number of processes exactly one writes its results.

`claim.<k>` belongs to attempt k and is never renamed or removed; the highest k owns. To claim is to link a complete
private file to `claim.<k+1>`: where it exists already, somebody else was faster. The owner touches its claim as a
heartbeat. It may be taken over only when it is older than the lease by the file server's own clock, or when its
process has provably gone. The end is `done`, a second name of the claim, linked once, whose attempt's files are the
run's. `cancel.<k>` asks the owner of attempt k to stop.
"""

import contextlib
import os
import time
from dataclasses import dataclass
from typing import Any, BinaryIO

from taunode.runs.directory import RunDirectory
from taunode.runs.files import (
    Missing,
    Unreadable,
    aside,
    link_once,
    open_regular,
    share_once,
    to_json,
    write_aside,
    write_json,
)
from taunode.runs.observe import earlier_attempts, fingerprint, look, observe
from taunode.runs.owner import identity
from taunode.runs.record import Attempt, Record, now
from taunode.runs.state import BROKEN, RESULTS, SIGNALS_IN_A_ROW, Observation, State, derive, killed_in_a_row, may_start

TRUSTED = 60.0  # seconds for which the difference of two clocks is


class LostClaim(Exception):  # noqa: N818 -- not an error: the run is in other hands
    """Another attempt owns the run, or has ended it, or the run has been removed; this one must not write."""


def server_time(run: RunDirectory) -> float:
    """The file server's clock, which is not this host's."""
    touched = aside(run.path / "clock")
    touched.touch()
    try:
        return touched.lstat().st_mtime
    finally:
        touched.unlink()


@dataclass
class ServerClock:
    """The file server's clock, asked once a minute: between two looks it goes as this host's does."""

    ahead: float = 0.0
    asked: float = -TRUSTED

    def now(self, run: RunDirectory, exactly: bool = False) -> float:
        if exactly or time.monotonic() - self.asked >= TRUSTED:
            self.ahead, self.asked = server_time(run) - time.time(), time.monotonic()
        return time.time() + self.ahead


_clock = ServerClock()


def look_to_take(run: RunDirectory) -> tuple[Record, Observation, State]:
    """As `look`, by the file server's clock: for who may take the run over.

    Raises:
        Unreadable: a record of the run is not what it should be.
        OSError: the directory cannot be written to.
    """
    record, seen, _ = look(run)
    if seen.attempt is not None and seen.done is None and "state" not in seen.attempt:
        seen = observe(run, record, _clock.now(run))
        if derive(seen) is State.STALLED:
            seen = observe(run, record, _clock.now(run, exactly=True))
    return record, seen, derive(seen)


@dataclass
class Claim:
    """Attempt `attempt` of a run, while this process owns it.

    Attributes:
        about: what is recorded of the attempt: who, when, where, from which checkpoints; its end is added.
        earlier: the records of the attempts before.
        file: the claim as it was made, open: while it is, a run that was removed and made anew is another one (the
            number of a file's inode is given away again as soon as nobody has the file open).
    """

    run: RunDirectory
    attempt: int
    about: dict[str, Any]
    earlier: list[Attempt]
    file: BinaryIO

    def beat(self) -> None:
        """Touch the claim, by the file server's clock."""
        os.utime(self.run.claim(self.attempt))

    def lost(self) -> bool:
        """Whether somebody else owns the run, or it is not there any more."""
        if self.file.closed:  # it has ended
            return True
        try:
            found = self.run.claim(self.attempt).lstat()
        except FileNotFoundError:
            return True
        later = self.run.claim(self.attempt + 1), self.run.done
        return not os.path.samestat(found, os.fstat(self.file.fileno())) or any(map(os.path.lexists, later))

    def hold(self) -> None:
        """Before each write.

        Raises:
            LostClaim: somebody else owns the run.
        """
        if self.lost():
            raise LostClaim(f"{self.run.path}: attempt {self.attempt} has lost its claim")

    def cancelled(self) -> bool:
        """Whether somebody wants this attempt to end."""
        return os.path.lexists(self.run.cancel(self.attempt))

    def end(self, state: State, end: str, **more: Any) -> State:
        """Record how the attempt ended; returns the state the run has now.

        Raises:
            LostClaim: somebody else owns the run.
        """
        self.hold()
        progressed = fingerprint(self.run) != self.about["checkpoints"]
        self.about |= {"ended": now(), "state": state, "end": end, **more, "progressed": progressed}
        if more.get("killed") and state is State.PLANNED:
            kills = killed_in_a_row([*self.earlier, self.about], self.about["checkpoints"])
            if not progressed and kills >= SIGNALS_IN_A_ROW:
                state = self.about["state"] = State.FAILED
                self.about["end"] += f": {SIGNALS_IN_A_ROW} attempts in a row without progress"
        content = to_json(self.about)  # the claim is the truth, and `done` its second name: on the disk before that
        write_aside(self.run.claim(self.attempt), lambda file: file.write(content), durable=True)
        if state in RESULTS:
            if not share_once(self.run.claim(self.attempt), self.run.done):
                raise LostClaim(f"{self.run.path}: another attempt was done first")
            self.run.settle(self.attempt)  # after `done`: who claimed meanwhile looks there after its own
        self.file.close()
        self.publish(state)
        return state

    def publish(self, state: State) -> None:
        """Repeat in run.json what the claims say, for those who read many runs."""
        try:
            record = self.run.read_record()
        except Unreadable:  # somebody broke it while the run was at work; the claims still say it all
            return
        record.state = state
        record.attempts = [*self.earlier, self.about]  # type: ignore[list-item]  # checked when it is read
        if state in RESULTS:
            record.summary = self.about["summary"]
        write_json(self.run.record, record.to_json())


def forget_result(run: RunDirectory) -> None:
    """Let a finished run be done again from the beginning (`--again`); the old files stay until then.

    What a run has that is not finished stays: it only goes on.
    """
    if not os.path.lexists(run.done):
        return
    for attempt in run.checkpoints():
        run.checkpoint(attempt).unlink(missing_ok=True)
    run.done.unlink(missing_ok=True)


def take(
    run: RunDirectory,
    about: dict[str, Any],
    lease: float,
    also: frozenset[State] = frozenset(),
    newest: int | None = None,
) -> Claim | None:
    """Claim a run, if it may be started.

    Args:
        about: what to record of the attempt.
        lease: seconds without a heartbeat after which this attempt may be taken over.
        also: states that are started because the user asked for it (`resume`).
        newest: with `also`: the newest attempt when the user asked, so that a run is tried once per command.

    Returns:
        None where the run has ended, is in other hands, or somebody else was faster.

    Raises:
        Unreadable: a record of the run is not what it should be.
        OSError: the directory cannot be written to.
    """
    record, seen, state = look_to_take(run)
    asked = state in also and seen.attempts == newest
    if not (may_start(state, seen.attempt) or asked):
        return None
    earlier = earlier_attempts(run, record, seen.attempts)
    if seen.told is not None and seen.attempt is not None:  # it could not record that itself
        earlier[-1] = seen.attempt | {"state": seen.told}  # type: ignore[operator]  # a dictionary
    if state is State.STALLED:
        about = {**about, "took_over": f"attempt {seen.attempts}, silent for {seen.silent:.0f} s"}
    claim = _link(run, seen.attempts + 1, about, lease, earlier)
    if claim is None or os.path.lexists(run.done):  # between the look and the link
        return None
    number = claim.attempt
    try:
        run.link(number)
    except (IsADirectoryError, NotADirectoryError) as error:  # nobody but the user can help
        with contextlib.suppress(LostClaim):
            claim.end(State.FAILED, f"cannot begin: {error.strerror}: {error.filename2 or error.filename}")
        return None
    if claim.lost():  # an owner that slept here must not leave the plain names to its own files
        _name_the_owner(run)
        return None
    checkpoints = claim.about["checkpoints"]
    if not asked and seen.gone and killed_in_a_row(earlier, checkpoints) >= SIGNALS_IN_A_ROW:
        with contextlib.suppress(LostClaim):
            claim.end(State.FAILED, f"{SIGNALS_IN_A_ROW} attempts in a row were killed without progress")
        return None
    run.remove_asides(before=number)
    claim.publish(State.RUNNING)
    return claim


def _link(run: RunDirectory, number: int, about: dict[str, Any], lease: float, earlier: list[Attempt]) -> Claim | None:
    """Make the claim of an attempt; None where somebody else was faster."""
    about = {
        "attempt": number,
        "owner": identity(),
        "started": now(),
        "lease": lease,
        "checkpoints": fingerprint(run),
        **about,
    }
    if not link_once(run.claim(number), about):
        return None
    try:
        return Claim(run, number, about, earlier, open_regular(run.claim(number)))
    except Missing:  # removed with the run
        return None


def _name_the_owner(run: RunDirectory) -> None:
    """Let the plain names lead to the attempt that ended the run, else to the newest."""
    try:
        run.settle(run.read_done()["attempt"])
    except Missing:
        run.link(run.attempts())


def cancel(run: RunDirectory, retried: bool = False) -> State | None:
    """Cancel a run: one at work is asked to save itself and end, one that waits will not be started.

    Args:
        retried: somebody may be about to try it again though it is broken. It stays what it is then, but for what ran
            out of memory, which would be sent again.

    Returns:
        The state it had; None where it has ended, so that there is nothing to cancel.

    Raises:
        Unreadable: a record of the run is not what it should be.
        OSError: the directory cannot be written to.
    """
    record, seen, state = look_to_take(run)
    if state is State.RUNNING:
        link_once(run.cancel(seen.attempts), {"by": identity(), "time": now()})
        return state
    if not (may_start(state, seen.attempt) or (retried and state in BROKEN)):
        return None
    earlier = earlier_attempts(run, record, seen.attempts)
    claim = _link(run, seen.attempts + 1, {}, 60.0, earlier)
    if claim is None:
        return cancel(run, retried)  # somebody has just begun with it
    end = "cancelled before it began" if not earlier else f"{earlier[-1].get('end', state)}; cancelled before more"
    stays = state in BROKEN and state is not State.OUT_OF_MEMORY
    with contextlib.suppress(LostClaim):
        claim.end(state if stays else State.CANCELLED, end)
    return state
