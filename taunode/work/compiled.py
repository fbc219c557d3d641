"""Compiled code, kept in the cache of all this user's runs: what one run compiles, the next one loads.

Inductor, torch's compiler, writes its files aside, renames them, and locks what it builds, so that any number of runs
may share a folder. What it builds for a processor is for that very one (`-march=native`), which its own keys do not
name: a folder is one torch's on one kind of machine, since a cache may lie on a disk that several share.
"""

import hashlib
import os
import platform
from pathlib import Path

ABOUT = ("model name", "flags", "CPU part", "Features")  # of a processor, in /proc/cpuinfo


def share_code(cache: Path) -> None:
    """Let this process keep what it compiles under `cache`, unless TORCHINDUCTOR_CACHE_DIR says where."""
    import torch

    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache / "compiled" / f"torch-{torch.__version__}-{machine()}"))
    os.environ.setdefault("TORCHINDUCTOR_FX_GRAPH_CACHE", "1")  # older releases of torch want to be asked


def machine() -> str:
    """8 hex digits for the processor with its instructions, and the GPU."""
    import torch

    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else platform.processor()
    about = [line for line in text.partition("\n\n")[0].splitlines() if line.partition("\t")[0] in ABOUT] or [text]
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return hashlib.blake2b("\n".join([platform.machine(), *about, gpu]).encode(), digest_size=4).hexdigest()
