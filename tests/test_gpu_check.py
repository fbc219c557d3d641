"""The check of a GPU, where there may be none: its own code works, and it says when there is nothing to check."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cli import environment

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu_check.py"


def gpu_check(*arguments: str, cwd: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, cwd=cwd, env=environment(**changes), capture_output=True, text=True)


def test_all_checks_hold_on_a_cpu(tmp_path: Path) -> None:
    ended = gpu_check("--device", "cpu", "--tiny", cwd=tmp_path)
    text = (tmp_path / "gpu-check.md").read_text(encoding="utf-8")
    assert ended.returncode == 0, text + ended.stderr
    assert (text.count("| holds |"), text.count("| not tried |")) == (6, 1)
    assert "fails" not in text
    assert "| rkhs | 2 | bf16 | eager |" in text


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    ended = gpu_check(cwd=tmp_path)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())
