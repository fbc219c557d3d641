"""Means over samples are exact whatever the batches, and a table reads back as the numbers that went in."""

import csv
import io
import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from taunode.training.metrics import Means, evaluate, sample_losses, to_csv
from taunode.training.team import Team
from training.small import Batches, Perceptron, samples


@pytest.mark.parametrize("size", [1, 7, 10, 29, 100])
def test_a_ragged_last_batch_counts_for_what_it_holds(size: int) -> None:
    inputs, labels = samples(29, seed=0)
    torch.manual_seed(0)
    model = Perceptron().double()
    found = evaluate(model, Batches(inputs, labels, size), Means(torch.device("cpu")), torch.float64, Team())
    assert found["loss"] == pytest.approx(cross_entropy(model(inputs), labels).item(), abs=1e-14)
    assert found["error"] == 100 * (model(inputs).argmax(1) != labels).sum().item() / 29


@pytest.mark.parametrize("classes", [3, 5, 9])
def test_the_five_best_answers_are_torchvisions(classes: int) -> None:
    """As torchvision's references count accuracy: the label is among the five highest logits, or all where fewer."""
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(200, classes, generator=generator), torch.randint(classes, (200,), generator=generator)
    means = Means(torch.device("cpu"), top5=True)
    means.add(means.sums(sample_losses(logits, labels), logits, labels))
    rank = (logits > logits.gather(1, labels[:, None])).sum(1)  # how many logits are above the label's
    found = means.read()
    assert found["error"] == 100 * (rank >= 1).sum().item() / 200
    assert found["top5_error"] == 100 * (rank >= 5).sum().item() / 200


def test_an_empty_share_counts_nothing() -> None:
    means = Means(torch.device("cpu"), top5=True)
    logits, labels = torch.zeros(0, 10), torch.zeros(0, dtype=torch.int64)
    assert means.sums(sample_losses(logits, labels), logits, labels).tolist() == [0, 0, 0, 0]


def test_a_million_small_losses_do_not_lose_their_last_digits() -> None:
    means = Means(torch.device("cpu"))
    losses, logits, labels = torch.full((1000,), 0.1), torch.zeros(1000, 2), torch.zeros(1000, dtype=torch.int64)
    for _ in range(1000):
        means.add(means.sums(losses, logits, labels))
    assert means.read()["loss"] == pytest.approx(torch.tensor(0.1).item(), rel=1e-12)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_a_number_is_no_right_answer(bad: float) -> None:
    """The argmax of NaN is 0, and label 0 would be right."""
    logits, labels = torch.tensor([[bad, 0.0], [5.0, 0.0]]), torch.tensor([0, 0])
    means = Means(torch.device("cpu"))
    means.add(means.sums(sample_losses(logits, labels), logits, labels))
    found = means.read()
    assert not math.isfinite(found["loss"])
    assert found["error"] == 50


def test_sums_can_be_kept_and_taken_up() -> None:
    inputs, labels = samples(20, seed=0)
    logits = inputs[:, :3]
    whole, first, second = (Means(torch.device("cpu")) for _ in range(3))
    for x, y in zip(logits.split(6), labels.split(6), strict=True):
        whole.add(whole.sums(sample_losses(x, y), x, y))
    first.add(first.sums(sample_losses(logits[:6], labels[:6]), logits[:6], labels[:6]))
    second.load_state_dict(first.state_dict())
    first.clear()
    for x, y in zip(logits[6:].split(6), labels[6:].split(6), strict=True):
        second.add(second.sums(sample_losses(x, y), x, y))
    assert second.read() == whole.read()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_losses_are_at_least_float32(dtype: torch.dtype) -> None:
    logits, labels = torch.randn(4, 3, dtype=dtype), torch.tensor([0, 1, 2, 0])
    losses = sample_losses(logits, labels)
    assert losses.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(losses, cross_entropy(logits.to(losses.dtype), labels, reduction="none"))


def test_a_table_reads_back_exactly() -> None:
    rows = [{"epoch": 1, "loss": 1 / 3, "error": 1e-17}, {"epoch": 2, "loss": math.nan, "error": 0.1 + 0.2}]
    text = to_csv(rows)
    assert text.splitlines()[0] == "epoch,loss,error"
    assert text.endswith("\n")
    assert "\r" not in text
    read = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(io.StringIO(text))]
    assert repr(read) == repr([{key: float(value) for key, value in row.items()} for row in rows])
    assert to_csv([]) == ""
