"""The claim: who owns a run, so that of any number of processes exactly one writes its results.

`claim.<k>` belongs to attempt k and is never renamed or removed; the highest k owns. To claim is to link a complete
private file to `claim.<k+1>`: where it exists already, somebody else was faster. The owner touches its claim as a
heartbeat. It may be taken over only when it is older than the lease by the file server's own clock, or when its
process has provably gone. The end is `done`, linked once, which names the attempt whose files are the run's.
"""

import contextlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from taunode.runs.directory import RunDirectory, link_once, write_json
from taunode.runs.observe import earlier_attempts, fingerprint, look
from taunode.runs.owner import identity
from taunode.runs.state import RESULTS, SIGNALS_IN_A_ROW, State, killed_in_a_row, may_start


class LostClaim(Exception):  # noqa: N818 -- not an error: the run is in other hands
    """Another attempt owns the run, or has ended it; this one must not write."""


def now() -> str:
    return datetime.now(UTC).astimezone().isoformat(timespec="seconds")


@dataclass
class Claim:
    """Attempt `attempt` of a run, while this process owns it.

    Attributes:
        about: what is recorded of the attempt: who, when, where, from which checkpoints; its end is added.
        earlier: the records of the attempts before.
    """

    run: RunDirectory
    attempt: int
    about: dict[str, Any]
    earlier: list[dict[str, Any]]

    def beat(self) -> None:
        """Touch the claim, by the file server's clock."""
        os.utime(self.run.claim(self.attempt))

    def lost(self) -> bool:
        return self.run.claim(self.attempt + 1).exists() or self.run.done.exists()

    def hold(self) -> None:
        """Before each write.

        Raises:
            LostClaim: somebody else owns the run.
        """
        if self.lost():
            raise LostClaim(f"{self.run.path}: attempt {self.attempt} has lost its claim")

    def end(self, state: State, end: str, **more: Any) -> State:
        """Record how the attempt ended; returns the state the run has now.

        Raises:
            LostClaim: somebody else owns the run.
        """
        self.hold()
        if state in RESULTS:
            if not link_once(self.run.done, {"attempt": self.attempt, "state": state, "summary": more["summary"]}):
                raise LostClaim(f"{self.run.path}: another attempt was done first")
            self.run.link(self.attempt)  # once more, after `done`: who claimed meanwhile looks there after its own
        self.about |= {"ended": now(), "state": state, "end": end, **more}
        progressed = fingerprint(self.run) != self.about["checkpoints"]
        if more.get("killed") and state is State.PLANNED:
            kills = killed_in_a_row([*self.earlier, self.about], self.about["checkpoints"])
            if not progressed and kills >= SIGNALS_IN_A_ROW:
                state = self.about["state"] = State.FAILED
                self.about["end"] += f": {SIGNALS_IN_A_ROW} attempts in a row without progress"
        self.about["progressed"] = progressed
        write_json(self.run.claim(self.attempt), self.about)
        self.publish(state)
        return state

    def publish(self, state: State) -> None:
        """Repeat in run.json what the claims say, for those who read many runs."""
        record = self.run.read_record()
        record.state = state
        record.attempts = [*self.earlier, self.about]
        if state in RESULTS:
            record.summary = self.about["summary"]
        write_json(self.run.record, record.to_json())


def forget_result(run: RunDirectory) -> None:
    """Let a finished run be done again from the beginning (`--again`); the old files stay until then.

    What a run has that is not finished stays: it only goes on.
    """
    if not run.done.exists():
        return
    for attempt in run.checkpoints():
        run.checkpoint(attempt).unlink(missing_ok=True)
    run.done.unlink(missing_ok=True)


def named(run: RunDirectory) -> int:
    """The attempt that the plain names lead to: the one that ended the run, else the newest."""
    if run.done.exists():
        return int(json.loads(run.done.read_bytes())["attempt"])
    return run.attempts()


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
    """
    record, seen, state = look(run)
    asked = state in also and seen.attempts == newest
    if not (may_start(state, seen.attempt) or asked):
        return None
    earlier = earlier_attempts(run, record, seen.attempts)
    if seen.told is not None and seen.attempt is not None:  # it could not record that itself
        earlier[-1] = seen.attempt | {"state": seen.told}
    checkpoints = fingerprint(run)
    number = seen.attempts + 1
    about = {
        "attempt": number,
        "owner": identity(),
        "started": now(),
        "lease": lease,
        "checkpoints": checkpoints,
        **about,
    }
    if state is State.STALLED:
        about["took_over"] = f"attempt {seen.attempts}, silent for {seen.silent:.0f} s"
    if not link_once(run.claim(number), about):
        return None
    claim = Claim(run, number, about, earlier)
    if run.done.exists():  # between the look and the link
        return None
    run.link(number)
    if claim.lost():  # an owner that slept here must not leave the plain names to its own files
        run.link(named(run))
        return None
    if not asked and seen.gone and killed_in_a_row(earlier, checkpoints) >= SIGNALS_IN_A_ROW:
        with contextlib.suppress(LostClaim):
            claim.end(State.FAILED, f"{SIGNALS_IN_A_ROW} attempts in a row were killed without progress")
        return None
    run.remove_asides(before=number)
    claim.publish(State.RUNNING)
    return claim
