"""No orphans: a process that ends with its parent, however that ends."""

import ctypes
import os
import signal
import sys


def die_with(parent: int, number: signal.Signals) -> None:
    """Let the kernel send this process a signal when its parent is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, int(number))  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # gone before the kernel was asked
        os._exit(1)
