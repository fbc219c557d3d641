"""A real Slurm cluster of several nodes on this machine, in one directory, for as long as the tests need it.

munged, slurmctld, a slurmd for each node and, with accounting, MariaDB and slurmdbd run in the foreground as children
of this process, as the present user. Debian's packages are enough; neither systemd nor /etc/slurm is used.
"""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo")
ACCOUNTING = ("slurmdbd", "mariadbd", "mariadb-install-db", "sacct", "sacctmgr")
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
CPUS = 4  # that a node believes to have
MEMORY = 8000  # MiB, likewise


def missing(accounting: bool) -> list[str]:
    """The programs that a cluster needs and this machine lacks."""
    needed = PROGRAMS + (ACCOUNTING if accounting else ())
    return [name for name in needed if shutil.which(name, path=PATH) is None]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: no daemon outlives a killed test run


class Rig:
    """A cluster; use it in a `with` statement.

    Args:
        nodes: how many, called n1, n2, ….
        accounting: with a data base, so that sacct and sacctmgr work.
        settings: other lines of slurm.conf.

    Two partitions share the nodes: `debug`, the default, and `urgent`, whose jobs preempt those of `debug`.
    """

    def __init__(self, nodes: int, accounting: bool, settings: Mapping[str, object]) -> None:
        self.nodes, self.accounting = nodes, accounting
        self.root = Path(tempfile.mkdtemp(prefix="rig", dir="/tmp"))  # short: a socket's path has 107 characters
        self._settings = settings
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._user = pwd.getpwuid(os.getuid()).pw_name

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to speak to this cluster, without what an outer job may have set."""
        outer = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "SBATCH", "SRUN", "SALLOC"))}
        return {**outer, "SLURM_CONF": str(self.root / "slurm.conf"), "PATH": PATH}

    def run(self, *command: object, check: bool = True) -> str:
        """The output of one of Slurm's commands."""
        words = [str(word) for word in command]
        done = subprocess.run(words, env=self.environment, text=True, capture_output=True, check=False)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    # Starting and stopping

    def __enter__(self) -> "Rig":
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        if "slurmctld" in self._daemons:
            self.run("scancel", "--user", self._user, check=False)
            self._wait(lambda: not self.run("squeue", "--noheader", check=False).strip(), 10, may_fail=True)
        nodes = [name for name in self._daemons if name.startswith("slurmd-")]
        for names in (nodes, ["slurmctld"], ["slurmdbd"], ["mariadbd"], ["munged"]):
            self._stop([self._daemons[name] for name in names if name in self._daemons])
        for pid in self._processes("RIG_NODE="):  # steps that have outlived their slurmd
            _kill(pid, signal.SIGKILL)
        shutil.rmtree(self.root, ignore_errors=True)

    def _start(self) -> None:
        for name in ("munge", "state", "spool", "log", "data"):
            (self.root / name).mkdir()
        self.root.chmod(0o755)
        (self.root / "munge").chmod(0o755)
        key = self.root / "munge" / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        controller, data_base, *nodes = _free_ports(2 + self.nodes)
        (self.root / "slurm.conf").write_text(self._configuration(controller, data_base, nodes))
        self._spawn(
            "munged",
            "--foreground",
            "--force",  # /tmp is writable by others
            f"--socket={self._socket}",
            f"--key-file={key}",
            f"--pid-file={self.root}/munge/pid",
            f"--seed-file={self.root}/munge/seed",
            f"--log-file={self.root}/log/munged",
        )
        self._wait(self._socket.is_socket)
        if self.accounting:
            self._start_accounting(data_base)
        self._spawn("slurmctld", "-D")
        for number in range(1, self.nodes + 1):
            self.start_node(number)
        self._wait(lambda: self.idle() == self.nodes)

    def _start_accounting(self, port: int) -> None:
        place = self.root / "data"
        (self.root / "my.cnf").write_text(
            f"[mariadbd]\ndatadir={place}/files\nsocket={place}/socket\npid-file={place}/pid\n"
            f"log-error={self.root}/log/mariadb\ninit-file={place}/init.sql\nskip-networking\nskip-log-bin\n"
            "innodb_log_file_size=16M\ninnodb_buffer_pool_size=64M\ninnodb_flush_log_at_trx_commit=0\n"
            "innodb_doublewrite=0\ninnodb_use_native_aio=0\ninnodb_lock_wait_timeout=900\n"
        )
        (place / "init.sql").write_text(
            "CREATE DATABASE IF NOT EXISTS slurm_acct_db;\n"
            "CREATE OR REPLACE USER slurm@localhost IDENTIFIED BY 'slurm';\n"
            "GRANT ALL ON slurm_acct_db.* TO slurm@localhost;\n"
        )
        options = [f"--defaults-file={self.root}/my.cnf", f"--user={self._user}"]
        self.run("mariadb-install-db", *options, "--auth-root-authentication-method=normal", "--skip-test-db")
        self._spawn("mariadbd", *options)
        self._wait((place / "socket").is_socket)
        configuration = self.root / "slurmdbd.conf"
        configuration.touch(mode=0o600)  # slurmdbd insists
        configuration.write_text(
            f"AuthType=auth/munge\nAuthInfo=socket={self._socket}\nDbdHost=localhost\nDbdAddr=127.0.0.1\n"
            f"DbdPort={port}\nSlurmUser={self._user}\nPidFile={self.root}/slurmdbd.pid\n"
            f"LogFile={self.root}/log/slurmdbd\nStorageType=accounting_storage/mysql\nStorageHost=localhost\n"
            "StorageUser=slurm\nStoragePass=slurm\nStorageLoc=slurm_acct_db\nCommitDelay=0\n"
        )
        self._spawn("slurmdbd", "-D", MYSQL_UNIX_PORT=str(place / "socket"))
        self._wait(lambda: _listens(port))

    def _configuration(self, controller: int, data_base: int, nodes: list[int]) -> str:
        lines: dict[str, object] = {
            "ClusterName": "rig",
            "SlurmctldHost": "localhost(127.0.0.1)",
            "SlurmctldPort": controller,
            "SlurmUser": self._user,
            "SlurmdUser": self._user,
            "AuthType": "auth/munge",
            "AuthInfo": f"socket={self._socket},cred_expire=5",  # a requeued job waits so long
            "CredType": "cred/munge",
            "StateSaveLocation": self.root / "state",
            "SlurmdSpoolDir": f"{self.root}/spool/%n",
            "SlurmctldPidFile": self.root / "slurmctld.pid",
            "SlurmdPidFile": f"{self.root}/slurmd-%n.pid",
            "SlurmctldLogFile": self.root / "log" / "slurmctld",
            "SlurmdLogFile": f"{self.root}/log/slurmd-%n",
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "JobAcctGatherType": "jobacct_gather/none",
            "SwitchType": "switch/none",
            "MpiDefault": "none",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_Core_Memory",
            "DefMemPerCPU": 100,
            "SlurmdParameters": "config_overrides",  # believe CPUs= below
            "ReturnToService": 2,
            "SchedulerType": "sched/backfill",
            "SchedulerParameters": "sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=10000",
            "KillWait": 3,  # from SIGTERM to SIGKILL; 30 by default
            "UnkillableStepTimeout": 10,
            "SlurmdTimeout": 10,  # a silent node is down after so long; 300 by default
            "MinJobAge": 300,
            "JobRequeue": 1,
            "PreemptType": "preempt/partition_prio",
            "PreemptMode": "REQUEUE",
        }
        if self.accounting:
            lines |= {
                "AccountingStorageType": "accounting_storage/slurmdbd",
                "AccountingStorageHost": "127.0.0.1",
                "AccountingStoragePort": data_base,
                "AccountingStoragePass": self._socket,
            }
        else:
            lines["AccountingStorageType"] = "accounting_storage/none"
        text = [f"{name}={value}" for name, value in {**lines, **self._settings}.items()]
        text += [
            f"NodeName=n{number} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs={CPUS} RealMemory={MEMORY}"
            for number, port in enumerate(nodes, 1)
        ]
        text.append("PartitionName=debug Nodes=ALL Default=YES DefaultTime=10 PriorityTier=1")
        text.append("PartitionName=urgent Nodes=ALL DefaultTime=10 PriorityTier=10")
        return "\n".join([*text, ""])

    @property
    def _socket(self) -> Path:
        return self.root / "munge" / "socket"

    def _spawn(self, program: str, *arguments: str, name: str = "", **environment: str) -> None:
        name = name or program
        with open(self.root / "log" / f"{name}.out", "ab") as output:
            self._daemons[name] = subprocess.Popen(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**self.environment, **environment},
                cwd=self.root,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    def _wait(self, ready: Callable[[], bool], seconds: float = 60, may_fail: bool = False) -> None:
        until = time.monotonic() + seconds
        while not ready():
            dead = [name for name, process in self._daemons.items() if process.poll() is not None]
            if time.monotonic() > until or (dead and not may_fail):
                if may_fail:
                    return
                logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in (self.root / "log").iterdir())
                raise RuntimeError(f"the cluster does not start; ended: {dead}\n{logs}")
            time.sleep(0.05)

    def _stop(self, processes: list["subprocess.Popen[bytes]"]) -> None:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def idle(self) -> int:
        """How many nodes are there and have no job."""
        lines = self.run("sinfo", "--noheader", "--Node", "--partition=debug", "--format=%T", check=False).split()
        return lines.count("idle")

    # What can happen to a cluster

    def start_node(self, number: int) -> None:
        # The steps inherit RIG_NODE, so that `crash` finds them.
        self._spawn("slurmd", "-D", "-N", f"n{number}", name=f"slurmd-n{number}", RIG_NODE=f"n{number}")

    def cut_off(self, number: int) -> None:
        """The node can no longer be reached; what runs there goes on."""
        daemon = self._daemons.pop(f"slurmd-n{number}")
        daemon.kill()
        daemon.wait()

    def crash(self, number: int) -> None:
        """The node loses power: nobody can report anything."""
        self.cut_off(number)
        for mark in (f"RIG_NODE=n{number}", f"SLURMD_NODENAME=n{number}"):
            for pid in self._processes(mark):
                _kill(pid, signal.SIGKILL)

    def tasks(self, job: str) -> list[int]:
        """The processes of a job (its raw number) but its batch script and srun."""
        return [pid for pid in self._processes(f"SLURM_JOB_ID={job}") if b"taunode.cluster" in _command(pid)]

    def _processes(self, mark: str) -> Iterator[int]:
        """Processes of this cluster that were started with a variable that begins so."""
        conf = f"SLURM_CONF={self.root}/slurm.conf".encode()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    variables = (entry / "environ").read_bytes().split(b"\0")
                except OSError:
                    continue
                if conf in variables and any(variable.startswith(mark.encode()) for variable in variables):
                    yield int(entry.name)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
