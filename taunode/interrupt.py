"""Ctrl-C that is not lost: in a callback of the import system, or of a weak reference, Python drops the exception."""

import signal
import types

_heard = False


def listen() -> None:
    """From now on remember Ctrl-C, beside the exception that it raises; where it is ignored it stays so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _hear)


def heard() -> bool:
    """Whether Ctrl-C was, since `listen`."""
    return _heard


def check() -> None:
    """
    Raises:
        KeyboardInterrupt: Ctrl-C was heard, and nobody has ended on it.
    """
    if _heard:
        raise KeyboardInterrupt


def _hear(number: int, frame: types.FrameType | None) -> None:
    global _heard
    _heard = True
    raise KeyboardInterrupt
