# %% [markdown]
# # From a sweep to the paper, in a notebook
#
# Open this file as a notebook (VS Code, Jupyter with Jupytext), or run it: `python docs/analysis.py [SWEEP]`.
# The sweep is any directory that `taunode -m` has written; `make demo` makes the one below in three minutes.
# What the command `multirun-analysis` does, functions do; each result shows itself in a notebook.

# %%
import sys
from pathlib import Path

import multirun_analysis as ma

SWEEP = Path(sys.argv[1] if len(sys.argv) > 1 else "sweeps/digits_depth_tau")

# %% [markdown]
# ## Load
# `runs` has a row a run: the whole configuration, flattened, then state and results. `epochs` has a row a run and
# epoch, read when first asked for. A run that cannot be read is listed in `broken` with the reason.

# %%
sweep = ma.load(SWEEP)
print(sweep.summary)
print(sweep.runs[["depth", "arch.norm", "tau", "seed", "state", "final_test_error"]].head())

# %% [markdown]
# They are pandas tables; depth and τ are ordered labels, so what you group or plot is in the right order.

# %%
done = sweep.runs[sweep.runs["state"] == "done"]
print(done.groupby(["arch.norm", "tau"], observed=True)["final_test_error"].mean())

# %% [markdown]
# ## Cells: mean, interval, and who is missing
# A cell is the runs that differ in `seed` only. A run that diverged is a result: it counts in `diverged`, and is not
# in the mean. `low` and `high` are the 95 % interval of the mean (Student's t).

# %%
cells = ma.cells(sweep.runs)
print(cells[["arch.depth", "arch.norm", "tau", "n", "mean", "sd", "low", "high", "diverged", "missing"]])

# %% [markdown]
# ## Tables
# Any keys against any others, at the last epoch, the best one or the N-th; with differences to a baseline, seed by
# seed.

# %%
table = ma.table(sweep, baseline="1")
print(table)
print(
    ma.table(sweep, "test_error", at="epoch:1", rows=["arch.norm", "arch.depth"], columns=["tau"], statistic="interval")
)

# %% [markdown]
# Of what was tuned, such as each method's learning rate, only the best; any view takes such a sweep. Here, for each
# depth and τ, with BN or without, whichever is better.

# %%
print(ma.table(ma.tuned(sweep, ["arch.norm", "tau.learn"])))

# %% [markdown]
# For the paper: `\usepackage{booktabs}`, then `\input{table.tex}`.

# %%
(SWEEP / "table.tex").write_bytes(table.content("latex"))

# %% [markdown]
# ## Figures
# The one that the sweep asks for, or one by its name. Each has the table of what it shows.

# %%
figure = ma.figure(sweep)
(SWEEP / "error.pdf").write_bytes(figure.content("pdf"))
print(figure.note)
curves = ma.figure(sweep, "curves", "train_loss")
print(curves.table.head())

# %% [markdown]
# ## Published numbers
# For a sweep of the papers' experiments, `ma.verify(sweep)` gives a line a published number with a verdict, and
# `ma.figure(sweep, paper=True)` draws them beside yours. Where the protocol is another one, it says so and names the
# keys.

# %%
verdicts = ma.verify(sweep)
print(verdicts.table.head(3).to_string(index=False))
print(verdicts.summary)

# %% [markdown]
# ## Two sweeps
# `ma.compare("sweeps/before", "sweeps/after")` aligns them by what they are, not by their names: the difference of each
# cell with its interval, what only one of them has, the keys and the code that differ. `ma.load` takes several, too.

# %%
batch = ma.load(SWEEP, where='arch.norm == "batch"')
print(batch.summary)
