"""Small results on their way from the device to the host, so that nobody waits for them before they are needed."""

import torch
from torch import Tensor


class Readback:
    """Sends tensors of one shape to the host, one at a time.

    On a GPU the copy goes into pinned memory behind what has been launched so far; what is launched afterwards runs
    while the host waits for the copy.
    """

    def __init__(self, device: torch.device) -> None:
        self._event = torch.cuda.Event() if device.type == "cuda" else None
        self._host: Tensor | None = None

    def send(self, tensor: Tensor) -> None:
        """Start the copy of a tensor, which replaces the one before."""
        if self._event is None:
            self._host = tensor
            return
        if self._host is None:
            self._host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        self._host.copy_(tensor, non_blocking=True)
        self._event.record(torch.cuda.current_stream(tensor.device))

    def read(self) -> list[float]:
        """The numbers of what was sent, (n,): waits until they are there."""
        assert self._host is not None
        if self._event is not None:
            self._event.synchronize()
        numbers: list[float] = self._host.tolist()
        return numbers
