"""The coordinate check: whether features and their changes by a step keep their size as a network grows.

Yang, Hu et al., "Tensor Programs V: Tuning Large Neural Networks via Zero-Shot Hyperparameter Transfer" (arXiv
2203.03466), appendix D.1: in a maximal update parametrisation (µP) the coordinates of every layer's features, and what
a step changes in them, neither grow nor vanish with the width; Depth-µP (Yang, Yu, Zhu, Hayou, arXiv 2310.02244) asks
the same of the depth. The tables are those of `taunode.training.probes`; no torch.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd


def coordinate_check(
    tables: Mapping[float, pd.DataFrame], quantities: Sequence[str] = ("features", "feature_change")
) -> pd.DataFrame:
    """The exponent p in `quantity ∝ size^p`, for every step and part that all tables have.

    Args:
        tables: probes.parquet of networks that differ in one size, such as `arch.width` or the number of blocks, by
            that size, at least two of them above 0; rows of several seeds may stand in one table, and are averaged.
            Where numbers of blocks differ, of the blocks only the last is compared.
        quantities: columns of the tables.

    Returns:
        `step`, `part`, `block` (NaN for the last of several numbers), `quantity` and `slope`, by least squares of
        the logarithms: 0 where the size does not matter.
    """
    rows = pd.concat([table.assign(size=float(size)) for size, table in tables.items()], ignore_index=True)
    if len({int(table["block"].max()) for table in tables.values()}) > 1:
        last = rows[rows["part"] != "head"].groupby("size")["block"].transform("max").reindex(rows.index)
        rows = rows[rows["part"].isin(("stem", "head")) | (rows["block"] == last)]
        rows = rows.assign(block=rows["block"].where(rows["part"] == "stem"))
    long = rows.melt(["size", "step", "part", "block"], list(quantities), "quantity", "value")
    long = long[long["value"] > 0].assign(value=lambda found: np.log(found["value"]), size=np.log(long["size"]))
    by = ["step", "part", "block", "quantity"]
    means = long.groupby([*by, "size"], dropna=False, as_index=False)["value"].mean()
    counts = means.groupby(by, dropna=False)["size"].transform("size")
    groups = means[counts == len(tables)].groupby(by, dropna=False)
    slopes: pd.DataFrame = groups[["size", "value"]].apply(_slope).rename("slope").reset_index()
    return slopes


def _slope(points: pd.DataFrame) -> float:
    size = points["size"] - points["size"].mean()
    return float((size * points["value"]).sum() / (size**2).sum())
