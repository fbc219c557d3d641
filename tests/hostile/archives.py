"""Archives that somebody has prepared: a small healthy one, and a corpus of ways to spoil it."""

import hashlib
import json
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taunode.runs.manifest import FORMAT, NAME

RUN = "runs/seed=0-0123abcd"


@dataclass
class Made:
    """What an archive is made of: entries in their order, each with its bytes, and the manifest."""

    entries: list[tuple[zipfile.ZipInfo, bytes]] = field(default_factory=list)
    files: dict[str, Any] = field(default_factory=dict)
    format: Any = FORMAT
    manifest: bytes | None = None  # instead of what the rest says
    method: int = zipfile.ZIP_STORED  # of the manifest

    def add(self, name: str, content: bytes, kind: int = stat.S_IFREG, listed: bool = True) -> None:
        info = zipfile.ZipInfo(name)
        info.create_system, info.external_attr = 3, (kind | 0o644) << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        self.entries.append((info, content))
        if listed:
            self.files[name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    def write(self, path: Path) -> Path:
        said = {"format": self.format, "without": [], "files": self.files}
        content = json.dumps(said).encode() if self.manifest is None else self.manifest
        with zipfile.ZipFile(path, "w") as file:
            for info, data in self.entries:
                file.writestr(info, data)
            if content:
                file.writestr(zipfile.ZipInfo(NAME), content, self.method)
        return path


def healthy() -> Made:
    made = Made()
    for name in ("config.yaml", "run.json", "metrics.1.csv"):
        made.add(f"{RUN}/{name}", f"what {name} holds\n".encode())
    return made


@dataclass(frozen=True)
class Case:
    """One way to spoil an archive, and words of the one line with which it is refused."""

    name: str
    said: str
    spoil: Callable[[Made], object]


def _lie(**changes: Any) -> Callable[[Made], object]:
    return lambda made: made.files[f"{RUN}/run.json"].update(changes)


def _entry(name: str, said: str, words: str, kind: int = stat.S_IFREG) -> Case:
    return Case(words, said, lambda made: made.add(name, b"../../outside", kind))


CASES = [
    _entry("../outside", "'../outside' leads out of the archive", "a name that leads out"),
    _entry(f"{RUN}/../../../outside", "leads out of the archive", "a name that leads out further down"),
    _entry("/tmp/outside", "'/tmp/outside' is absolute", "an absolute name"),
    _entry("C:/outside", "is absolute", "a name with a drive"),
    _entry("runs\\..\\outside", "has characters", "backslashes"),
    _entry("runs/./outside", "is no name of a file", "a point"),
    _entry("runs//outside", "is no name of a file", "nothing between two slashes"),
    _entry("runs/outside/", "is no name of a file", "a directory"),
    _entry("runs/\x1b[2Jx", "has characters", "what steers a terminal"),
    _entry("runs/" + "x" * 256, "is too long", "a long name"),
    _entry("runs/" + "x/" * 40 + "x", "is too long", "a deep name"),
    _entry("runs/link", "'runs/link' is a symbolic link", "a link", stat.S_IFLNK),
    _entry("runs/pipe", "'runs/pipe' is not a regular file", "a pipe", stat.S_IFIFO),
    _entry("runs/device", "'runs/device' is not a regular file", "a device", stat.S_IFBLK),
    _entry(f"{RUN}/run.json", "run.json' is there twice", "an entry twice"),
    _entry(f"{RUN}/run.json/x", "run.json' is a file and a directory", "a file that is a directory"),
    Case(
        "what is not in the manifest",
        "'runs/more' is not in the manifest",
        lambda m: m.add("runs/more", b"", listed=False),
    ),
    Case(
        "what is only in the manifest",
        "names 'runs/less', which is not there",
        lambda m: m.files.update({"runs/less": m.files[f"{RUN}/run.json"]}),
    ),
    Case("another size", "of which the manifest says 3", _lie(size=3)),
    Case("another digest", "run.json' has not the digest", _lie(sha256="0" * 64)),
    Case("no digest", "files", _lie(sha256="0")),
    Case("a size of text", "files", _lie(size="3")),
    Case("a negative size", "files", _lie(size=-1)),
    Case("no manifest", "it has no manifest.json", lambda m: setattr(m, "manifest", b"")),
    Case("a manifest that is no JSON", "manifest.json", lambda m: setattr(m, "manifest", b"{")),
    Case("a manifest of brackets", "manifest.json", lambda m: setattr(m, "manifest", b'{"format":' + b"[" * 10**6)),
    Case("a compressed manifest", "is not stored as it is", lambda m: setattr(m, "method", zipfile.ZIP_DEFLATED)),
    Case("a newer format", "a newer taunode", lambda m: setattr(m, "format", FORMAT + 1)),
    Case("no run", "neither a sweep nor a run", lambda m: (m.entries.clear(), m.files.clear(), m.add("x", b""))),
    Case("a bomb", "more than 100 times as many", lambda m: m.add("runs/zeros", bytes(2**27))),
]
