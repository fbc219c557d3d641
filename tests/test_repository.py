"""The files that the repository's host and those who cite read: whole, and in step with the package."""

import configparser
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_the_citation_is_of_this_version_and_names_both_papers():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    assert CITATION["version"] == setup["metadata"]["version"]
    assert CITATION["license"] == setup["metadata"]["license"]
    named = {one["value"] for paper in CITATION["references"] for one in paper["identifiers"]}
    assert named == {"arXiv:1903.07120", "arXiv:2112.05531"}


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.name)
def test_what_the_host_is_told_is_yaml_and_calls_what_there_is(path):
    told = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert told["name"]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for job in told.get("jobs", {}).values():
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            if step.get("run", "").startswith("make "):
                assert step["run"].split()[1] in targets
            if step.get("run", "").startswith("bash "):
                assert (ROOT / step["run"].split()[1]).is_file()


def test_no_job_may_write_more_than_it_must():
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        assert yaml.safe_load(path.read_text(encoding="utf-8"))["permissions"] == {"contents": "read"}
