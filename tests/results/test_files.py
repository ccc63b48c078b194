"""Files of results are written whole, and record where they come from."""

import json
import math

from gradvitals.results.files import write_json
from gradvitals.results.provenance import git_commit, versions


def test_json_is_finite_and_whole(tmp_path):
    write_json(tmp_path / "a.json", {"x": [1.0, math.nan, math.inf], "y": {"z": -math.inf}})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": [1.0, None, None], "y": {"z": None}}
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_versions_and_commit():
    assert {"torch", "lightning", "hydra-core"} <= set(versions())
    commit = git_commit()
    assert commit is None or len(commit.rstrip("+")) == 40
