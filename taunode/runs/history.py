"""How configurations were written before, so that an old run is read, resumed and compared as if it were of today.

What a later key's absence means stands beside its parameter (`taunode.absent`). Here is what that cannot say: keys that
moved. A signature keeps their old names, so that no run's identity changes when its configuration is upgraded:

    signature(upgraded(config)) == signature(config)
"""

import copy
from collections.abc import Mapping
from typing import Any

from taunode.absent import absent_values

MOVED = {  # key before: key today
    "schedule.momentum": "optimizer.momentum",
    "schedule.weight_decay": "optimizer.weight_decay",
}
GROUPS = {"optimizer": "taunode.training.optimizer.Sgd"}  # group of moved keys: the _target_ that was theirs, unnamed
RENAMED: dict[str, str] = {}  # _target_ before: its name today


def upgraded(config: Mapping[str, Any]) -> dict[str, Any]:
    """A frozen configuration of any release as this one would freeze it."""
    new = {key: dict(value) if isinstance(value, Mapping) else value for key, value in config.items()}
    for before, today in MOVED.items():
        (old_group, old_key), (group, key) = before.split("."), today.split(".")
        if isinstance(held := new.get(old_group), dict) and old_key in held:
            holder = new.get(group)
            if not isinstance(holder, dict):
                holder = new[group] = {"_target_": GROUPS[group]}
            holder.setdefault(key, held.pop(old_key))
    for group, node in new.items():
        if isinstance(node, dict):
            new[group] = _completed(node)
    return new


def _completed(node: Mapping[str, Any]) -> dict[str, Any]:
    """A node with today's name of its class, and every key whose absence meant something."""
    found = {key: _completed(value) if isinstance(value, Mapping) else value for key, value in node.items()}
    target = found.get("_target_")
    if isinstance(target, str):
        found["_target_"] = target = RENAMED.get(target, target)
        for key, value in absent_values(target).items():
            found.setdefault(key, copy.deepcopy(value))
    return found
