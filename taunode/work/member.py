"""Several processes that train one run: one leads, owns the run and announces it; the others follow.

torchrun (or Slurm's tasks) start them and say in the environment who they are. Each is a worker that forks one child
a run; the children join a process group. What is said between the workers goes through a key-value store: which run
is next, that a child has died, and that all is over.
"""

import contextlib
import functools
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from taunode.data.share import Share
from taunode.errors import BadInput
from taunode.runs.runtime import Runtime, processors

if TYPE_CHECKING:
    import torch
    from torch.distributed import TCPStore  # type: ignore[attr-defined]  # torch's stub forgets it

    from taunode.training.team import Team

WAIT = timedelta(minutes=30)  # for a process that reads its data more slowly than the others


@dataclass(frozen=True)
class Member:
    """One process of several: `share` its rank among all, `local_rank` of `local_world` on its machine, and where
    the store is (`address`, `port`); `hosts`: whether the leader has to open it; `session`: tells restarts apart;
    `run`: the number of the run that was announced last."""

    share: Share
    local_rank: int
    local_world: int
    address: str
    port: int
    hosts: bool
    session: str
    run: int = 0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Member | None":
        """This process's place as torchrun tells it; None for a process alone.

        Raises:
            BadInput: WORLD_SIZE says there are several, but a variable that torchrun sets beside it is missing.
        """
        if int(environment.get("WORLD_SIZE", "1")) == 1:
            return None
        try:
            return cls(
                Share(int(environment["RANK"]), int(environment["WORLD_SIZE"])),
                int(environment["LOCAL_RANK"]),
                int(environment["LOCAL_WORLD_SIZE"]),
                environment["MASTER_ADDR"],
                int(environment["MASTER_PORT"]),
                hosts=environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True",
                session=f"taunode {environment.get('TORCHELASTIC_RESTART_COUNT', '0')}",
            )
        except KeyError as missing:
            raise BadInput(f"WORLD_SIZE is above 1, but {missing.args[0]} is not set; use torchrun") from None

    @property
    def leads(self) -> bool:
        return self.share.rank == 0

    def store(self, hosting: bool = False) -> "TCPStore":
        """A connection to the store of all; `hosting` opens it."""
        from torch import distributed as dist

        return dist.TCPStore(  # type: ignore[attr-defined]  # as above
            self.address, self.port, is_master=hosting, timeout=WAIT, wait_for_workers=False
        )

    def runtime(self, asked: Runtime) -> Runtime:
        """As asked; the processors, where nothing else was asked for, shared out to the processes of this machine."""
        shared = asked.sharing(self.local_world)
        return replace(shared, threads=asked.threads or max(1, processors() // self.local_world))


class Channel:
    """What the workers of a team say to each other; the leader's announcements are numbered."""

    def __init__(self, member: Member) -> None:
        from torch import distributed as dist

        self._tcp = member.store(hosting=member.hosts and member.leads)
        self._store = dist.PrefixStore(member.session, self._tcp)  # type: ignore[attr-defined]  # as above
        self.member = member
        self.number = 0

    def announce(self, message: Mapping[str, Any]) -> None:
        """The leader's next word: the run to train, or the exit code when all is over."""
        self.number += 1
        self._store.set(f"word {self.number}", json.dumps(message))

    def heard(self) -> bool:
        """Whether the leader has said its next word, so that what it said before is over."""
        return bool(self._store.check([f"word {self.number + 1}"]))

    def next(self) -> dict[str, Any]:
        """The leader's next word; waits for it."""
        self.number += 1
        message: dict[str, Any] = json.loads(self._store.get(f"word {self.number}"))
        return message

    def present(self) -> Member:
        """This process's place in the training that was announced last."""
        return replace(self.member, run=self.number)

    def complain(self, told: Mapping[str, Any]) -> None:
        """A follower's child has failed: the leader need not wait for it."""
        self._store.set(f"complaint {self.number}", json.dumps(told))

    def complaint(self, seconds: float = 0.0) -> dict[str, Any] | None:
        """How a follower's child failed in the present run; waits so long for one that has not been said yet."""
        until = time.monotonic() + seconds
        with contextlib.suppress(RuntimeError):  # the store is gone with its machine: nothing more will be heard
            while True:
                if self._store.check([f"complaint {self.number}"]):
                    found: dict[str, Any] = json.loads(self._store.get(f"complaint {self.number}"))
                    return found
                if time.monotonic() >= until:
                    break
                time.sleep(0.05)
        return None


@functools.cache
def channel() -> Channel | None:
    """This process's channel to its team, opened once; None for a process alone."""
    member = Member.from_environment()
    return None if member is None else Channel(member)


@contextlib.contextmanager
def joined(member: "Member | None", device: "torch.device") -> "Iterator[Team]":
    """The team of the present run, for as long as its process group stands; of one process for a process alone."""
    import torch
    from torch import distributed as dist

    from taunode.training.team import Team

    if member is None:
        yield Team()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)  # where torch puts what it sends beside the tensors
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        store=dist.PrefixStore(f"{member.session} run {member.run}", member.store()),  # type: ignore[attr-defined]  # as above
        rank=member.share.rank,
        world_size=member.share.world,
        timeout=WAIT,
    )
    try:
        yield Team(member.share)
    finally:
        dist.destroy_process_group()
