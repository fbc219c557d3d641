"""Whether this machine's GPU gives what its CPU gives, written into `gpu-check.md` in at most 10 minutes.

python benchmarks/gpu_check.py                        # exit code 0: all hold, 1: one does not, 2: there is no GPU
python benchmarks/gpu_check.py --device cpu --tiny    # the checks themselves, tried where there is none

A check says what it saw, or raises. Speed is measured last (`gpu_speed.py`); what there is no time for is missing.
"""

import argparse
import json
import platform
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from gpu_setting import NETWORKS, Setting, frozen, images_of
from gpu_speed import speeds

from taunode import build
from taunode.runs.directory import RunDirectory, SweepDirectory
from taunode.training.metrics import sample_losses
from taunode.work.attempt import device_name, is_out_of_memory

TOLERANCE = 2e-3  # of the largest gradient or logit in fp32: other kernels add in another order, and ReLU has corners
RUN = ("arch=resnet", "arch.depth=8", "dataset=digits", "tau=inverse_sqrt", "arch.norm=none")
FEW = ("dataset=synthetic", "dataset.train_images=64", "dataset.test_images=16", "schedule.batch_size=16")


class NothingToCheckError(Exception):
    """A check does not apply to this machine."""


def equal_to_cpu(setting: Setting) -> str:
    """Logits and gradients of every network, in fp32 without TF32."""
    worst, where = 0.0, ""
    for name, words in list(NETWORKS.items())[: 2 if setting.tiny else None]:
        config = frozen(*words)
        inputs, labels = images_of(config, 4)
        found = []
        for device in (torch.device("cpu"), setting.device):
            network = build.network(config).to(device).train()
            logits = network(inputs.to(device))
            sample_losses(logits, labels.to(device)).mean().backward()
            gradients = [p.grad.flatten().cpu() for p in network.parameters() if p.grad is not None]
            found.append((logits.detach().cpu(), torch.cat(gradients)))
        for one, other in zip(*found, strict=True):
            error = ((one - other).abs().max() / one.abs().max()).item()
            worst, where = max((worst, where), (error, name))
            assert error < TOLERANCE, f"{name}: {error:.1e} of the largest"
    return f"largest difference {worst:.1e} of the largest value ({where or 'all equal'})"


def command(setting: Setting, *words: str, processes: int = 0) -> subprocess.Popen[bytes]:
    started = [sys.executable]
    if processes:
        started += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    asked = [
        *RUN,
        *(FEW if setting.tiny else ()),
        f"schedule.epochs={setting.epochs}",
        "schedule.milestones=[]",
        "schedule.lr=0.01",
        f"runtime.device={setting.device.type}",
    ]
    log = (setting.folder / "log.txt").open("ab")
    return subprocess.Popen(
        [*started, "-m", "taunode.train", *asked, *words], cwd=setting.folder, stdout=log, stderr=subprocess.STDOUT
    )


def summary(run: RunDirectory, state: str = "done") -> dict[str, Any]:
    record = run.read_record()
    end = record.attempts[-1].get("end") if record.attempts else "never begun"
    assert record.state == state, f"{run.path.name} is {record.state}: {end}"
    return record.summary


def ends(process: subprocess.Popen[bytes], setting: Setting) -> None:
    try:
        process.wait(timeout=max(1.0, setting.until - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()
        raise
    assert process.returncode == 0, f"exit code {process.returncode}: {tail(setting.folder / 'log.txt')}"


def tail(path: Path) -> str:
    return path.read_text(errors="replace").strip().rpartition("\n")[2]


def kill_and_resume(setting: Setting) -> str:
    """A run is killed after its first epoch, and the same command ends it."""
    run = RunDirectory(setting.folder / "killed")
    words = (f"hydra.run.dir={run.path}", "runtime.checkpoint_seconds=0.01")
    process = command(setting, *words)
    while process.poll() is None and not list(run.path.glob("checkpoint.*.pt")):
        assert time.monotonic() < setting.until, "no checkpoint in time"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    ends(command(setting, *words), setting)
    found = summary(run)
    attempts = len(run.read_record().attempts)
    assert (found["epochs"], attempts) == (setting.epochs, 2), f"{found['epochs']} epochs in {attempts} attempts"
    return f"done after {attempts} attempts, test error {found['final_test_error']:.1f} %"


def bf16(setting: Setting) -> str:
    """The same run in fp32 and bf16."""
    errors = []
    for precision in ("fp32", "bf16"):
        path = setting.folder / precision
        ends(command(setting, f"hydra.run.dir={path}", f"precision={precision}"), setting)
        errors.append(summary(RunDirectory(path))["final_test_error"])
    return f"test error {errors[0]:.1f} % in fp32, {errors[1]:.1f} % in bf16"


def two_processes(setting: Setting) -> str:
    """A run trained by two processes, each with a GPU of its own."""
    if setting.device.type == "cuda" and torch.cuda.device_count() < 2:
        raise NothingToCheckError("there is one GPU")
    path = setting.folder / "two"
    ends(command(setting, f"hydra.run.dir={path}", processes=2), setting)
    return f"test error {summary(RunDirectory(path))['final_test_error']:.1f} %"


def several_workers(setting: Setting) -> str:
    """More workers than GPUs: every run ends."""
    sweep, count = setting.folder / "several", 2 if setting.tiny else 6
    began = time.monotonic()
    words = (f"seed=range(0,{count})", f"hydra.sweep.dir={sweep}")
    workers = max(1, torch.cuda.device_count()) * (2 if setting.tiny else 3)
    ends(command(setting, "-m", *words, f"hydra.launcher.workers={workers}"), setting)
    for run in SweepDirectory(sweep):
        summary(run)
    return f"{count} runs, {workers} workers: {time.monotonic() - began:.0f} s"


def out_of_memory(setting: Setting) -> str:
    """What does not fit is told as that."""
    try:
        torch.empty(2**46, device=setting.device)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return "told as out of memory"
    raise AssertionError("2^48 bytes were given")


def no_synchronisation(setting: Setting) -> str:
    """Forward and backward pass of every network wait for nothing."""
    if setting.device.type != "cuda":
        raise NothingToCheckError("nothing waits for a CPU")
    for words in NETWORKS.values():
        config = frozen(*words)
        inputs, labels = (each.to(setting.device) for each in images_of(config, 4))
        network = build.network(config).to(setting.device).train()
        for strict in (False, True):  # once without: libraries begin
            torch.cuda.set_sync_debug_mode("error" if strict else "default")
            try:
                sample_losses(network(inputs), labels).mean().backward()
            finally:
                torch.cuda.set_sync_debug_mode("default")
    return "none"


CHECKS: dict[str, Callable[[Setting], str]] = {
    "every network equal to the CPU": equal_to_cpu,
    "no synchronisation": no_synchronisation,
    "kill and resume": kill_and_resume,
    "bf16": bf16,
    "two processes": two_processes,
    "several workers on a GPU": several_workers,
    "out of memory": out_of_memory,
}


def check(setting: Setting, out: Path) -> int:
    """Do all, and write what was seen; returns the exit code."""
    about = {"device": device_name(setting.device), "torch": torch.__version__, "python": platform.python_version()}
    lines = ["# GPU check", "", json.dumps(about), "", "| check | | seen | s |", "|---|---|---|---:|"]
    failed = 0
    for name, ask in CHECKS.items():
        began = time.monotonic()
        try:
            verdict, seen = "holds", ask(setting)
        except NothingToCheckError as reason:
            verdict, seen = "not tried", str(reason)
        except Exception as error:
            failed += 1
            text = str(error).strip().splitlines()
            verdict, seen = "**fails**", f"{type(error).__name__}: {text[0] if text else ''}"
            traceback.print_exc()
        line = f"| {name} | {verdict} | {seen.replace('|', '/')} | {time.monotonic() - began:.0f} |"
        print(line, flush=True)
        lines.append(line)
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    out.write_text("\n".join([*lines, "", *speeds(setting), ""]), encoding="utf-8")
    print(f"written: {out}")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="only see whether the checks work")
    parser.add_argument("--out", type=Path, default=Path("gpu-check.md"))
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("gpu-check: there is no GPU that torch can use on this machine", file=sys.stderr)
        return 2
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    with tempfile.TemporaryDirectory() as folder:
        return check(Setting(device, Path(folder), options.tiny), options.out)


if __name__ == "__main__":
    sys.exit(main())
