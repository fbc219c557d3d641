"""Whether this machine's GPU gives what its CPU gives, and how fast: `gpu-check.md`, in at most 10 minutes.

python benchmarks/gpu_check.py                        # exit code 0: all hold, 1: one does not, 2: there is no GPU
python benchmarks/gpu_check.py --device cpu --tiny    # the checks themselves, tried where there is none

A check says what it saw, or raises. Speed is measured last, and what there is no time for is said to be missing.
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from taunode import build
from taunode.api import compose
from taunode.plan.freeze import Freezer
from taunode.runs.directory import RunDirectory, SweepDirectory
from taunode.training.metrics import sample_losses
from taunode.training.parametrization import Parametrization
from taunode.work.attempt import device_name, is_out_of_memory
from taunode.work.cost import flops_of_image, peak

MNIST, IMAGENET = ("dataset.channels=1", "dataset.image_size=28"), ("dataset.image_size=224", "dataset.classes=1000")
SYNTHETIC = ("dataset=synthetic",)
NETWORKS = {  # of every kind one, as small as it gets
    "resnet20": ("arch=resnet20",),
    "resnet20_nobn": ("arch=resnet20_nobn", "tau=inverse_sqrt"),
    "resnet50": ("arch=resnet50", "dataset.image_size=64"),
    "momentum_resnet": ("arch=momentum_resnet", "arch.depth=20"),
    "rkhs_node": ("arch=rkhs_node", "arch.layers=5"),
    "shl_node": ("arch=shl_node", "arch.layers=5"),
    "rkhs_resnet18": ("arch=rkhs_resnet18", "dataset.image_size=32"),
    "shl_resnet18": ("arch=shl_resnet18", "dataset.image_size=32"),
}
SPEEDS = {  # name → words, batch
    "resnet20": (("arch=resnet20", "dataset.image_size=32"), 128),
    "resnet110": (("arch=resnet110", "dataset.image_size=32"), 128),
    "RKHS, 20 layers": (("arch=rkhs_node", "arch.layers=20", *MNIST), 256),
    "resnet50": (("arch=resnet50", *IMAGENET), 64),
    "resnet1202": (("arch=resnet1202", "dataset.image_size=32"), 128),
}
MODES = {"eager": None, "compile": "default", "reduce-overhead": "reduce-overhead"}
TOLERANCE = 2e-3  # of the largest gradient or logit in fp32: other kernels add in another order, and ReLU has corners
RUN = ("arch=resnet", "arch.depth=8", "dataset=digits", "tau=inverse_sqrt", "arch.norm=none")
FEW = ("dataset=synthetic", "dataset.train_images=64", "dataset.test_images=16", "schedule.batch_size=16")


class NotTried(Exception):  # noqa: N818 -- a verdict, not an error
    """A check has nothing to check here."""


@dataclass
class Setting:
    """Where and how much is checked.

    Attributes:
        tiny: as little as shows that the checks themselves work.
        until: by time.monotonic(), when no new measurement begins.
    """

    device: torch.device
    folder: Path
    tiny: bool = False
    until: float = field(default_factory=lambda: time.monotonic() + 540)

    @property
    def epochs(self) -> int:
        return 30 if self.tiny else 20


def frozen(*words: str) -> dict[str, Any]:
    return Freezer(Path.cwd()).freeze(compose([*SYNTHETIC, "runtime.device=cpu", *words]))[0]


def images_of(config: dict[str, Any], count: int) -> tuple[torch.Tensor, torch.Tensor]:
    data = config["dataset"]
    generator = torch.Generator().manual_seed(0)
    shape = (count, data["channels"], data["image_size"], data["image_size"])
    return torch.randn(shape, generator=generator), torch.randint(data["classes"], (count,), generator=generator)


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
        raise NotTried("there is one GPU")
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
        raise NotTried("nothing waits for a CPU")
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


def speed(setting: Setting, words: tuple[str, ...], batch: int, mode: str | None, precision: str) -> float:
    """Training images a second: forward, backward, step on images that are there."""
    config = frozen(*words)
    inputs, labels = (each.to(setting.device) for each in images_of(config, batch))
    model = build.network(config).to(setting.device).train()
    network: nn.Module = model if mode is None else torch.compile(model, mode=mode)  # type: ignore[assignment]  # a module
    optimizer = build.optimizer(config)
    assert optimizer is not None
    rule: Parametrization | None = build.parametrization(config)
    updates = optimizer.updates(model, rule)

    def steps(count: int) -> float:
        began = time.perf_counter()
        for _ in range(count):
            with torch.autocast(setting.device.type, torch.bfloat16, enabled=precision == "bf16"):
                logits = network(inputs)
            updates.zero_grad()
            sample_losses(logits, labels).mean().backward()
            updates.step(1e-4)
        if setting.device.type == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - began) / count

    one = min(steps(1), steps(1), steps(1))
    return batch / steps(1 if setting.tiny else max(3, min(50, round(2 / one))))


def speeds(setting: Setting) -> list[str]:
    """The table of speeds, in Markdown."""
    lines = [
        "| network | batch | precision | mode | images/s | GFLOP/s | % of peak |",
        "|---|---:|---|---|---:|---:|---:|",
    ]
    peaks = {precision: peak(setting.device, precision) for precision in ("fp32", "bf16")}
    chosen = {"rkhs": (NETWORKS["rkhs_node"], 2)} if setting.tiny else SPEEDS
    for name, (words, batch) in chosen.items():
        flops = flops_of_image(frozen(*words)) or 0.0
        for precision in ("fp32", "bf16"):
            for mode, how in list(MODES.items())[: 1 if setting.tiny else None]:
                begins = f"| {name} | {batch} | {precision} | {mode} |"
                if time.monotonic() > setting.until - 60 or (name == "resnet1202" and how is not None):
                    why = "compiling takes longer than all of this" if how is not None else "no time was left"
                    lines.append(f"{begins} {why} | | |")
                    continue
                try:
                    rate = speed(setting, words, batch, how, precision)
                except Exception as error:  # one that does not fit, or is not compiled, leaves the others
                    lines.append(f"{begins} {type(error).__name__} | | |")
                else:
                    done = rate * flops
                    lines.append(f"{begins} {rate:.0f} | {done / 1e9:.1f} | {100 * done / peaks[precision]:.1f} |")
                torch.compiler.reset()
                if setting.device.type == "cuda":
                    torch.cuda.empty_cache()
    said = ", ".join(f"{precision} {value / 1e12:.3g} TFLOP/s" for precision, value in peaks.items())
    return [*lines, "", f"Peak, by products of matrices: {said}."]


def check(setting: Setting, out: Path) -> int:
    """Do all, and write what was seen; returns the exit code."""
    about = {"device": device_name(setting.device), "torch": torch.__version__, "python": platform.python_version()}
    lines = ["# GPU check", "", json.dumps(about), "", "| check | | seen | s |", "|---|---|---|---:|"]
    failed = 0
    for name, ask in CHECKS.items():
        began = time.monotonic()
        try:
            verdict, seen = "holds", ask(setting)
        except NotTried as reason:
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
