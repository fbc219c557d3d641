"""Downloads from a server on this machine, with right and wrong checksums."""

import hashlib
import pickle
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from torchvision import datasets

from taunode.data import cifar
from taunode.data.download import fetch
from taunode.data.sets import Cifar, Mnist
from taunode.errors import BadInput

Serve = Callable[[Path], str]


class Server:
    """Serves one folder after another, and keeps what was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.servers: list[ThreadingHTTPServer] = []

    def __call__(self, folder: Path) -> str:
        asked = self.asked

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                asked.append(self.path)

        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/"


@pytest.fixture
def serve() -> Iterator[Server]:
    server = Server()
    yield server
    for each in server.servers:
        each.shutdown()
        each.server_close()


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def mnist() -> Mnist:
    return Mnist(
        name="mnist",
        source="MNIST",
        channels=1,
        image_size=28,
        classes=10,
        mean=[0.0],
        std=[1.0],
        crop_padding=0,
        flip=False,
        holdout=0,
    )


@pytest.fixture
def mnist_served(mnist_files: Path, serve: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(datasets.MNIST, "mirrors", [serve(mnist_files)])
    resources = [(path.name, md5(path)) for path in sorted(mnist_files.iterdir())]
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    return serve


def test_mnist_is_downloaded_once(mnist_served: Server, tmp_path: Path) -> None:
    root = tmp_path / "root"
    racers = [threading.Thread(target=mnist().prepare, args=(root,)) for _ in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    once = sorted(set(mnist_served.asked))
    assert len(once) == 4
    assert len(mnist_served.asked) == 8  # torchvision asks twice, first for redirections
    splits = mnist().load(root, tmp_path)
    assert splits.train.pixels.shape == (60_000, 1, 28, 28)
    assert (splits.test.pixels[:, 0, 5, 5] == np.arange(10_000) % 251).all()
    assert not list(root.glob(".download-*"))


def test_splits_are_downloaded_one_after_another(
    serve: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SVHN's two files, which are matrices of MATLAB."""
    there, root = tmp_path / "there", tmp_path / "root"
    there.mkdir()
    root.mkdir()
    address, listed = serve(there), {}
    for place, part in enumerate(("train", "test")):
        file = there / f"{part}_32x32.mat"
        pixels = np.full((32, 32, 3, 2), place, np.uint8)
        scipy.io.savemat(file, {"X": pixels, "y": np.array([[1], [10]], np.uint8)})
        listed[part] = [address + file.name, file.name, md5(file)]
    monkeypatch.setattr(datasets.SVHN, "split_list", listed)

    def missing() -> list[str]:
        return [name for _, name, _ in listed.values() if not (root / name).exists()]

    fetch(root, "SVHN", "", missing, splits=("train", "test"))
    assert missing() == []
    assert datasets.SVHN(root, "test").labels.tolist() == [1, 0]
    (root / "test_32x32.mat").unlink()
    (there / "test_32x32.mat").write_bytes(b"damaged")
    with pytest.raises(BadInput, match=r"missing: test_32x32\.mat.*/train_32x32\.mat or .*/test_32x32\.mat"):
        fetch(root, "SVHN", "", missing, splits=("train", "test"))
    assert missing() == ["test_32x32.mat"]


def test_wrong_checksum_leaves_nothing_that_could_be_taken_for_data(
    mnist_served: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = list(datasets.MNIST.resources)
    wrong = [*right[:3], (right[3][0], "0" * 32)]
    monkeypatch.setattr(datasets.MNIST, "resources", wrong)
    with pytest.raises(BadInput, match=r"MNIST is not whole in .*MNIST/raw .*missing: train-images.*127\.0\.0\.1"):
        mnist().prepare(tmp_path)
    with pytest.raises(BadInput, match=r"train-images-idx3-ubyte is not there"):
        mnist().load(tmp_path, tmp_path)
    monkeypatch.setattr(datasets.MNIST, "resources", right)
    mnist().prepare(tmp_path)


def test_unreachable_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:9/a/", "http://127.0.0.1:9/b/"])
    with pytest.raises(BadInput) as caught:
        mnist().prepare(tmp_path)
    told = str(caught.value)
    assert "\n" not in told
    for part in (
        "http://127.0.0.1:9/a/ or http://127.0.0.1:9/b/",
        "Connection refused",
        f"{tmp_path}/MNIST/raw",
        "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte",
        "Put these files (or the same with .gz) there",
        "runtime.data_root",
    ):
        assert part in told


def test_files_that_are_there_are_not_downloaded(
    mnist_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])
    shutil.copytree(mnist_files, tmp_path / "MNIST/raw")
    mnist().prepare(tmp_path)
    splits = mnist().load(tmp_path, tmp_path)
    assert (splits.train.labels == np.arange(60_000) % 10).all()


def cifar100() -> Cifar:
    return Cifar(
        name="cifar100",
        source="CIFAR100",
        channels=3,
        image_size=32,
        classes=100,
        mean=[0.5],
        std=[0.25],
        crop_padding=4,
        flip=True,
        holdout=0,
    )


@pytest.fixture
def cifar_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small archive laid out like CIFAR-100's, with the checksums of its files known to torchvision."""
    folder = tmp_path / "made" / "cifar-100-python"
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 3072), dtype=np.uint8)
    contents: dict[str, Any] = {
        "train": {"data": pixels[:4], "fine_labels": [5, 6, 7, 99]},
        "test": {"data": pixels[4:], "fine_labels": [1, 2]},
        "meta": {"fine_label_names": [str(k) for k in range(100)]},
    }
    for name, content in contents.items():
        (folder / name).write_bytes(pickle.dumps(content))
    archive = tmp_path / "made" / "cifar-100-python.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(folder, "cifar-100-python")
    monkeypatch.setattr(datasets.CIFAR100, "train_list", [["train", md5(folder / "train")]])
    monkeypatch.setattr(datasets.CIFAR100, "test_list", [["test", md5(folder / "test")]])
    monkeypatch.setattr(datasets.CIFAR100, "meta", datasets.CIFAR100.meta | {"md5": md5(folder / "meta")})
    monkeypatch.setattr(datasets.CIFAR100, "tgz_md5", md5(archive))
    monkeypatch.setattr(datasets.CIFAR100, "url", "http://127.0.0.1:9/cifar-100-python.tar.gz")
    small = cifar.Source("CIFAR100", folder.name, archive.name, 100, files={"train": 4, "test": 2, "meta": 0})
    monkeypatch.setitem(cifar.SOURCES, "CIFAR100", small)
    return archive


def check_cifar(root: Path, cache: Path) -> None:
    splits = cifar100().load(root, cache)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)
    assert (splits.train.pixels == pixels[:4]).all()
    assert (splits.test.pixels == pixels[4:]).all()
    assert splits.train.labels.tolist() == [5, 6, 7, 99]


def test_cifar_is_downloaded_and_then_read_from_the_cache(
    cifar_archive: Path, serve: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.CIFAR100, "url", serve(cifar_archive.parent) + cifar_archive.name)
    root, cache = tmp_path / "root", tmp_path / "cache"
    cifar100().prepare(root, cache)
    check_cifar(root, cache)
    shutil.rmtree(root)
    monkeypatch.setattr(datasets.CIFAR100, "url", "http://127.0.0.1:9/")
    cifar100().prepare(root, cache)
    check_cifar(root, cache)


def test_cifar_from_an_archive_in_the_data_root(cifar_archive: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    shutil.copy(cifar_archive, root)
    cifar100().prepare(root)
    check_cifar(root, tmp_path / "cache")
    assert (root / cifar_archive.name).exists()


def test_cut_cifar_is_replaced_and_a_wrong_checksum_found(cifar_archive: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(cifar_archive.parent, root)
    train = root / "cifar-100-python/train"
    content = train.read_bytes()
    train.write_bytes(content[:5000])
    cifar100().prepare(root)
    assert train.read_bytes() == content
    train.write_bytes(content[:-1] + b"!")
    with pytest.raises(BadInput, match=r"CIFAR100 is not in .*cifar-100-python, or its checksums are wrong"):
        cifar100().prepare(root)


def test_damaged_archive_is_mentioned(cifar_archive: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / cifar_archive.name).write_bytes(b"half")
    with pytest.raises(BadInput, match=r"missing: train, test, meta.*or cifar-100-python\.tar\.gz into .*but damaged"):
        cifar100().prepare(root)
    assert (root / cifar_archive.name).read_bytes() == b"half"
