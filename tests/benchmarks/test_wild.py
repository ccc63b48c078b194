"""A tenth of what the verdict is tried on, in CI: whoever learns is left in peace, and whoever fails is not healthy."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

ROW = re.compile(r"^\| (.+?) \| (\d+) of (\d+) ", re.MULTILINE)


def tables(benchmark, tmp_path, *options):
    """What a benchmark prints on every tenth of its trainings."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        f"benchmarks/{benchmark}",
        "--every",
        "10",
        "--logs",
        str(tmp_path),
        *options,
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=900).stdout


@pytest.mark.slow
def test_a_tenth_of_the_wild_set(tmp_path):
    text = tables("wild", tmp_path)
    found = {name: (int(count), int(of)) for name, count, of in ROW.findall(text)}
    assert found["runs that learn: false alarm at the end"][1] >= 11
    assert found["runs that learn: false alarm at the end"][0] == 0, text
    assert found["fits that raised an error"][0] == 0, text
    sick, all_sick = found["runs that fail: not called healthy"]
    assert all_sick >= 20
    assert sick >= 0.9 * all_sick, text
    helps, of = found["runs that fail by a fault that some verdict names: the verdict names a cause that helps"]
    assert helps >= 0.8 * of, text
    again = tables("wild", tmp_path)
    assert not re.search(r"\d s left", again)  # nothing was trained twice
    assert again.endswith(text[text.index("# Whether") :])


@pytest.mark.slow
def test_a_tenth_of_the_programs(tmp_path):
    text = tables("programs", tmp_path, "--seeds", "1")
    counts = dict(re.findall(r"^(?:\| |- )(.+?)(?: \|\s*\||:) (\d+ of \d+)", text, re.MULTILINE))
    assert counts["runs that guess and are `healthy`"] == "0 of 3"
    assert counts["named in most seeds"] == "3 of 3"
    assert re.search(r"alarms on fixed or healthy programs that learn \| 0 of 5,", text)
    assert re.search(r"alarms on twins without the fault that learn: 0 of 3", text)
    assert not re.search(r"^\| found \| [012] of 4", text, re.MULTILINE)
