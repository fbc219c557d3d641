"""Commands that are run in the tests' own process."""

import io

import pytest
from cli import ended

from taunode.command import sweep


@pytest.fixture
def call(monkeypatch, capfd):
    """Run `taunode-sweep` in this process, with nobody at the terminal: (exit code, stdout, stderr)."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    return lambda *arguments: ended("taunode-sweep", sweep.main, arguments, monkeypatch, capfd)
