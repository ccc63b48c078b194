"""The page of loggers lists the options, and its example of another logger works."""

import re
import sys
from types import ModuleType

import yaml

from gradvitals.loggers.publish import publish
from tests.conftest import CONF, ROOT

PAGE = (ROOT / "docs/guides/loggers.md").read_text()


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


def test_the_table_lists_every_option():
    assert set(re.findall(r"^\| `(\w+)`", PAGE, re.MULTILINE)) == {file.stem for file in CONF.glob("logger/*.yaml")}


def test_the_example_of_another_logger_works(monkeypatch):
    class Run:
        """With the methods of Trackio's runs."""

        def __init__(self, project, embed):
            self.config, self.got = {}, []

        def log(self, metrics, step=None):
            self.got.append((metrics, step))

    trackio = ModuleType("trackio")
    trackio.init = lambda project, embed=True: Run(project, embed)
    monkeypatch.setitem(sys.modules, "trackio", trackio)
    names = {}
    exec(block("python"), names)
    (option,) = yaml.safe_load(block("yaml")).values()
    logger = names[option.pop("_target_").rpartition(".")[2]](**option)
    logger.log_hyperparams({"act": "relu"})
    publish([logger], {"grad_norm/total": 2.0}, 7)
    assert (logger._run.config, logger._run.got) == ({"act": "relu"}, [({"grad_norm/total": 2.0}, 7)])
