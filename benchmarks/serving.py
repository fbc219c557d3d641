"""`multirun-analysis serve` on a sweep at work, in Chromium: seconds until an epoch shows, and what idling costs.

python benchmarks/serving.py                              # 1,000 runs of 200 epochs
python benchmarks/serving.py --runs 10000 --epochs 20

At most 5 s until an epoch shows, and 10 % of a processor while nothing changes; nothing is written into the sweep, the
server ends with its terminal, and whoever has no token gets 403. One run of the sweep is at work: its claim is touched
as a worker does. Beside each figure stands the load of the machine.
"""

import argparse
import http.client
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from collecting import write
from playwright.sync_api import Page, sync_playwright

from taunode.runs.directory import RunDirectory
from taunode.runs.files import write_json, write_text

SERVE = "from multirun_analysis.command import main; main()"
TICKS = os.sysconf("SC_CLK_TCK")


def begin(run: RunDirectory) -> None:
    """A run that is done is at work again, and has half of its epochs."""
    record = run.read_record()
    claim: dict[str, Any] = {
        key: value for key, value in run.read_claim(1).items() if key in ("attempt", "owner", "started", "lease")
    }
    write_json(run.claim(1), claim | {"checkpoints": []})
    record.state, record.attempts, record.summary = type(record.state)("running"), [], {}
    write_json(run.record, record.to_json())
    run.done.unlink()
    for file in (run.metrics(1), run.timings(1)):
        lines = file.read_text().splitlines(keepends=True)
        write_text(file, "".join(lines[: len(lines) // 2]))


def add_epoch(run: RunDirectory) -> None:
    """As an attempt does: written aside and renamed."""
    for file in (run.metrics(1), run.timings(1)):
        text = file.read_text()
        epoch, _, rest = text.splitlines()[-1].partition(",")
        write_text(file, f"{text}{int(epoch) + 1},{rest}\n")


def beat(run: RunDirectory, ended: threading.Event) -> None:
    while not ended.wait(1.0):
        os.utime(run.claim(1))


def used(process: "subprocess.Popen[str]") -> float:
    """Seconds of processor time."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def state_of(path: Path, run: RunDirectory) -> dict[str, tuple[int, ...]]:
    """Of all files and directories but those that the benchmark changes."""
    found = {}
    for place, _, names in os.walk(path):
        if Path(place) == run.path:
            continue
        for name in (".", *names):
            one = os.lstat(os.path.join(place, name))
            found[os.path.join(place, name)] = (one.st_ino, one.st_size, one.st_mtime_ns)
    return found


def load() -> str:
    return f"(load {os.getloadavg()[0]:.1f})"


def status(address: str, path: str) -> int:
    connection = http.client.HTTPConnection(urlsplit(address).netloc)
    connection.request("GET", path)
    return connection.getresponse().status


def wait(page: Page, changed: Any, most: float = 120.0) -> float:
    began = time.perf_counter()
    while not changed():
        if time.perf_counter() - began > most:
            return float("nan")
        page.wait_for_timeout(50)
    return time.perf_counter() - began


def watch(path: Path, run: RunDirectory, idle: float, cache: str) -> None:
    environment = {**os.environ, "TAUNODE_CACHE": cache}
    before, began = state_of(path, run), time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, "serve", str(path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        print(f"address after {time.perf_counter() - began:.1f} s, {used(process):.1f} s of processor time {load()}")
        print(f"without the token: {status(address, '/')}, with a wrong one: {status(address, '/wrong/')}")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            page.set_default_timeout(300_000)
            began = time.perf_counter()
            page.goto(f"{address}#run={quote(run.path.name)}")
            page.wait_for_selector("html[data-ready]")
            print(f"page after {time.perf_counter() - began:.1f} s {load()}")
            time.sleep(20.0)  # the figures are drawn
            for _ in range(3):
                first, wall = used(process), time.perf_counter()
                page.wait_for_timeout(1000 * idle)
                share = (used(process) - first) / (time.perf_counter() - wall)
                print(f"idle for {idle:.0f} s: {100 * share:.1f} % of a processor {load()}")
            for _ in range(5):
                seen = page.evaluate("document.querySelector('#single canvas').toDataURL()")
                add_epoch(run)
                shown = wait(
                    page,
                    lambda seen=seen: page.evaluate("document.querySelector('#single canvas')?.toDataURL()") != seen,
                )
                print(f"an epoch shows after {shown:.1f} s {load()}", flush=True)
                page.wait_for_timeout(3000)
            browser.close()
        after = state_of(path, run)
        print(
            f"written into the sweep: {sorted(name for name in before | after if before.get(name) != after.get(name))}"
        )
    finally:
        process.kill()
        process.wait()


def ends_with_its_terminal(path: Path, cache: str) -> float:
    """The seconds from the terminal's end to the server's."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TAUNODE_CACHE"] = cache
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it would be ignored
        os.execv(sys.executable, [sys.executable, "-c", SERVE, "serve", str(path)])
    while b"http" not in os.read(terminal, 1000):
        pass
    began = time.perf_counter()
    os.close(terminal)
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        time.sleep(0.05)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000, help="a multiple of 20")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--idle", type=float, default=65.0, help="seconds to watch")
    parser.add_argument("--sweep", type=Path, help="one that an earlier call has written; it is changed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = options.sweep or Path(directory) / "sweep"
        if options.sweep is None:
            write(path, options.runs, options.epochs)
        run = RunDirectory(sorted((path / "runs").iterdir())[len(list((path / "runs").iterdir())) // 2])
        if run.done.exists():
            begin(run)
        ended = threading.Event()
        threading.Thread(target=beat, args=(run, ended), daemon=True).start()
        watch(path, run, options.idle, directory)
        print(f"ends {ends_with_its_terminal(path, directory):.1f} s after its terminal {load()}")
        ended.set()


if __name__ == "__main__":
    main()
