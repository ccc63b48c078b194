"""A path is typed as it is printed, whatever characters it contains."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from gradvitals.app.config.typed_paths import PATHS, typed_path, with_typed_paths

NAMES = [
    "my logs",
    "2026-11-25_18-04-17-750971_act=elu,model=bn",
    "a (1)",
    "it's",
    'a "b"',
    "größe",
    "{a: 1}",
    "[300,100]",
    "choice(a,b)",
    "a:b",
    "c\\d",
    "ends\\",
    "123",
    "1e-3",
    "true",
    "nan",
    "#1",
    "a~b",
    "a&b;c|d!",
    "数据",
    "x=1",
]


def read(word):
    return OverridesParser.create().parse_override(word).value()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", PATHS)
def test_hydra_reads_what_was_typed(tmp_path, monkeypatch, key, name):
    monkeypatch.chdir(tmp_path)
    for flags in ([], ["-m"]):
        if "choice" in name or ("," in name and flags):
            (tmp_path / name).mkdir(exist_ok=True)  # or else it is a sweep
        *_, word = with_typed_paths([*flags, f"{key}={name}"])
        assert read(word) == name
        assert with_typed_paths([word]) == [word]  # as the other processes of a run are given it


@pytest.mark.parametrize(
    "word",
    [
        "weights='a, b'",
        'weights="a, b"',
        "weights=${paths.logs}/x",
        "weights=null",
        "weights=latest:fashion_bn",
        "ckpt_path=",
        "~weights",
        "seed=0,1",
        "data.path=a/b.csv",
        "--config-dir=a b",
    ],
)
def test_what_hydra_reads_stays_as_it_is(word):
    assert with_typed_paths([word]) == [word]


def test_commas_between_paths_that_exist_are_a_sweep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    old, other = "2026_act=elu,model=bn", "2027_act=elu,model=bn"
    for name in (old, other, "a", "b"):
        (tmp_path / name).mkdir()
    assert with_typed_paths(["-m", "weights=a,b"]) == ["-m", "weights=a,b"]
    (both,) = with_typed_paths(["-m", f"weights={old},{other},a"])[1:]
    assert [item.text if hasattr(item, "text") else item for item in read(both).list] == [old, other, "a"]
    assert with_typed_paths(["-m", "weights=latest:x,a"]) == ["-m", "weights=latest:x,a"]
    (tmp_path / "a,b").mkdir()
    assert read(with_typed_paths(["-m", "weights=a,b"])[1]) == "a,b"


def test_a_sweep_over_what_is_no_file_stays_a_sweep():
    for word in ("data.path=a.csv,b.csv", "weights=choice(a,b)"):
        assert with_typed_paths(["-m", word]) == ["-m", word]
    assert read(with_typed_paths(["-m", "paths.logs=a,b"])[1]) == "a,b"  # the folder of all jobs


def test_what_was_escaped_for_hydra_names_the_same_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b, c").write_text("")
    assert with_typed_paths([r"data.path=a\=b\, c"]) == [r"data.path=a\=b\, c"]


def test_quotes_for_hydra_are_no_part_of_a_path():
    assert [typed_path(text) for text in ("a,b", "'a,b'", '"a b"', r"'it\'s'")] == ["a,b", "a,b", "a b", "it's"]
