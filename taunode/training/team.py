"""The processes that train one network together, one a GPU: DistributedDataParallel, and what they must agree on.

All see the same batches in the same order, each works on its share of every batch, and gradients and sums are those of
the whole batch: the training is that of one process. A process alone is a team of one, and pays nothing for it.
"""

import warnings
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.modules.batchnorm import _BatchNorm

from taunode.data.share import Share
from taunode.errors import BadInput

T = TypeVar("T")
N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True)
class Team:
    """This process's place among all; those of a team of several have joined a process group before."""

    share: Share = field(default_factory=Share)

    @property
    def leads(self) -> bool:
        """Whether this process is the one that reports and writes."""
        return self.share.rank == 0

    def synchronised(self, model: N, device: torch.device) -> N:
        """The network with batch statistics of the whole batch, whatever its shares.

        Raises:
            BadInput: batch normalisation on the CPU, where torch cannot share its statistics.
        """
        if self.share.world == 1 or not normalises_batches(model):
            return model
        if device.type != "cuda":
            raise BadInput(
                f"batch normalisation on {self.share.world} processes needs GPUs: on the CPU each would normalise by "
                "its own part of the batch; use one process, or arch.norm=none"
            )
        synchronised: N = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return synchronised

    def replica(self, model: nn.Module, device: torch.device) -> nn.Module:
        """The network as it is trained: its gradients are means over the team. Weights become the leader's."""
        if self.share.world == 1:
            return model
        with warnings.catch_warnings():  # newer releases of torch call the argument `forward_sync_buffers`
            warnings.simplefilter("ignore", FutureWarning)
            return nn.parallel.DistributedDataParallel(
                model,
                device_ids=[device] if device.type == "cuda" else None,
                broadcast_buffers=False,  # they are the same everywhere: statistics are of the whole batch
            )

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over the team, in place."""
        if self.share.world > 1:
            dist.all_reduce(tensor)
        return tensor

    def sum_and_any(self, numbers: Tensor, *flags: bool) -> tuple[Tensor, Tensor]:
        """The sum of `numbers`, (n,), over the team, and for each flag how many have raised it: one exchange."""
        raised = [numbers.new_full((1,), float(flag)) for flag in flags]  # filled on the device: waits for nothing
        both = self.sum(torch.cat((numbers, *raised)))
        return both[: len(numbers)], both[len(numbers) :]

    def any(self, *flags: bool) -> list[bool]:
        """For each flag, whether it is up anywhere in the team."""
        if self.share.world == 1:
            return list(flags)
        raised = torch.tensor(flags, dtype=torch.uint8)  # on the CPU: waits for no GPU
        dist.all_reduce(raised, dist.ReduceOp.MAX)
        return [bool(flag) for flag in raised.tolist()]

    def of_leader(self, value: T) -> T:
        """The leader's value, everywhere."""
        if self.share.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]


def normalises_batches(model: nn.Module) -> bool:
    """Whether a network in training computes statistics of its batches; frozen normalisation does not."""
    training = model.training
    found = any(isinstance(part, _BatchNorm) and part.training for part in model.train().modules())
    model.train(training)
    return found
