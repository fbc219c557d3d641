"""Compiled code is kept in the user's cache, for all runs on the same kind of machine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from taunode.work.compiled import machine, share_code

COMPILE = """
import sys
from pathlib import Path
import torch
from taunode.work.compiled import share_code

share_code(Path(sys.argv[1]))
x = torch.linspace(-1, 1, 64)
assert torch.allclose(torch.compile(lambda x: (x.sin() + 1).relu())(x), (x.sin() + 1).relu())
from torch._dynamo.utils import counters
print(counters["inductor"]["fxgraph_cache_hit"])
"""


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("TORCHINDUCTOR")}


def start(cache: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", COMPILE, str(cache)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())


@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
def test_what_one_process_has_compiled_another_loads_even_if_they_begin_at_once(tmp_path: Path) -> None:
    together = [start(tmp_path), start(tmp_path)]
    assert [process.wait() for process in together] == [0, 0]
    later = start(tmp_path)
    assert later.communicate()[0].split() == ["1"]
    assert [path.name for path in tmp_path.iterdir()] == ["compiled"]


def test_the_folder_names_the_machine_and_the_user_may_name_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setenv("TORCHINDUCTOR_FX_GRAPH_CACHE", "1")
    share_code(tmp_path)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"].endswith(machine())
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "mine")
    share_code(tmp_path)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "mine"
