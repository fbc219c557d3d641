import numpy as np
import pytest

from taunode.data.images import Images, split
from taunode.errors import BadInput


def numbered(count: int) -> Images:
    """Image k has k in its first two pixels, and label k."""
    pixels = np.zeros((count, 1, 1, 2), np.uint8)
    pixels[:, 0, 0] = np.stack((np.arange(count) // 256, np.arange(count) % 256), axis=1)
    return Images(pixels, np.arange(count))


def test_holdout_divides_the_training_images() -> None:
    splits = split(numbered(1000), numbered(10), 137)
    assert splits.validation is not None
    assert len(splits.validation) == 137
    assert sorted([*splits.train.labels, *splits.validation.labels]) == list(range(1000))
    for images in (splits.train, splits.validation):
        numbers = images.pixels[:, 0, 0].astype(int) @ [256, 1]
        assert (numbers == images.labels).all()


def test_holdout_is_the_same_every_time_and_no_simple_stretch() -> None:
    first, second = (split(numbered(1000), numbered(10), 100).validation for _ in range(2))
    assert first is not None
    assert second is not None
    assert (first.labels == second.labels).all()
    assert 300 < first.labels.mean() < 700
    # Pinned, since a change would move images between the splits of an existing sweep.
    assert first.labels[:5].tolist() == [38, 54, 67, 75, 95]


def test_no_holdout_is_no_validation_split() -> None:
    train = numbered(5)
    splits = split(train, numbered(2), 0)
    assert splits.validation is None
    assert splits.train is train


@pytest.mark.parametrize("holdout", [-1, 5, 6])
def test_holdout_out_of_range(holdout: int) -> None:
    with pytest.raises(BadInput, match=rf"holdout={holdout} .*5 training images; valid: 0 to 4"):
        split(numbered(5), numbered(2), holdout)
