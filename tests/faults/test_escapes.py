"""Names that lead to code nobody chose, through every way that a name can take: none is ever called."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning import Callback, LightningDataModule, LightningModule
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import OmegaConf
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gradvitals.app.commands.evaluate import evaluate
from gradvitals.app.commands.resume import rewrite
from gradvitals.app.config.error_messages import explain
from gradvitals.app.config.hydra_targets import check_hydra
from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.run.assemble import assemble
from gradvitals.build import build
from gradvitals.checkpoints.compare import rebuild
from gradvitals.classifier import Classifier
from gradvitals.errors import ConfigError
from tests.conftest import ROOT, composed
from tests.faults import as_typed

SLOTS = {
    "model": nn.Module,
    "optimizer": Optimizer,
    "scheduler": LRScheduler,
    "data": LightningDataModule,
    "monitor": Callback,
    "callbacks.x": Callback,
    "logger.x": Logger,
}
ESCAPES = [
    "builtins.eval",
    "builtins.exec",
    "builtins.__import__",
    "builtins.open",
    "os.system",
    "os.popen",
    "os.execv",
    "os.remove",
    "posix.system",
    "subprocess.Popen",
    "subprocess.run",
    "subprocess.check_output",
    "pickle.loads",
    "marshal.loads",
    "shutil.rmtree",
    "runpy.run_path",
    "importlib.import_module",
    "code.interact",
    "pty.spawn",
    "ctypes.CDLL",
    "webbrowser.open",
    "urllib.request.urlopen",
    "socket.create_connection",
    "numpy.load",
    "pandas.read_pickle",
    "joblib.load",
    "yaml.unsafe_load",
    "omegaconf.OmegaConf.load",
    "hydra.utils.instantiate",
    "hydra.utils.call",
    "evil.call",
    "evil.Net",
    "evil.missing.Net",
    "__main__.main",
    "torch.load",
    "torch.hub.load",
    "torch.hub.load_state_dict_from_url",
    "torch.jit.load",
    "torch.package.PackageImporter",
    "torch.utils.cpp_extension.load_inline",
    "torch.multiprocessing.spawn",
    "torch.distributed.run.main",
    "torch.utils.model_dump.__main__.main",
    "torch.serialization.os.system",
    "torch.serialization.pickle.loads",
    "torch.nn.modules.module.functools.partial",
    "torch.utils.data.dataloader.os.system",
    "torch.__builtins__.eval",
    "torch.nn.Module.__class__",
    "torch.nn.Module.__subclasses__",
    "torch.nn.__dict__",
    "torch.optim.Optimizer.load_state_dict",
    "torchvision.models.resnet18",
    "torchvision.models.get_model",
    "torchvision.datasets.CIFAR10",
    "lightning.LightningModule.load_from_checkpoint",
    "lightning.pytorch.cli.LightningCLI",
    "lightning.pytorch.cli.instantiate_class",
    "lightning.pytorch.trainer.trainer.os.system",
    "lightning.pytorch.demos.mnist_datamodule.MNISTDataModule",
    "lightning.pytorch.demos.transformer.LightningTransformer",
    "gradvitals.build.os.system",
    "gradvitals.build.importlib.import_module",
    "gradvitals.build.build",
    "gradvitals.build.resolve",
    "gradvitals.classifier.Classifier.load_from_checkpoint",
    "gradvitals.app.cure.trial.run_trial",
    "gradvitals.results.provenance.git_commit",
]
MALFORMED = [None, "", "torch", "..os.system", "os", 3, ["os.system"], {"_target_": "os.system"}, "torch.load()"]
MALFORMED += [
    "torch.optim.Adam\n",
    "torch.optim;os.system",
    "${oc.env:HOME}",
    "torch.optim.Adam, os.system",
    b"os.system",
]
SHORT = ("trainer.max_epochs=1", "trainer.accelerator=cpu", "report=false", "model.width=4", "model.depth=1")

# What would show that something was called: of the interpreter's own announcements.
ALARMS = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect")
_watched: list[str] | None = None


def _listen(event: str, args: Any) -> None:
    if _watched is not None and event in ALARMS:
        _watched.append(f"{event}{args!r}")


sys.addaudithook(_listen)  # cannot be removed; it is deaf outside the fixture


@pytest.fixture
def nothing_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails if a process was started, a connection opened, or the module ``evil`` imported."""
    global _watched
    place = tmp_path / "path"
    place.mkdir()
    canary = "open({!r}, 'a').write('imported')\nimport torch\n"
    evil = "class Net(torch.nn.Linear): ...\ndef call(*args, **kwargs): raise SystemExit('called')\n"
    (place / "evil.py").write_text(canary.format(str(place / "CANARY")) + evil)
    monkeypatch.syspath_prepend(place)
    monkeypatch.delenv("GRADVITALS_ALLOW", raising=False)
    _watched = []
    yield
    heard, _watched = _watched, None
    assert not heard, heard
    assert not (place / "CANARY").exists()
    assert "evil" not in sys.modules


def refused(call: Callable[[], object]) -> bool:
    """Whether a call is refused in one line for the user."""
    try:
        call()
    except ValueError as error:
        return "\n" not in explain(error) and "HYDRA_FULL_ERROR" not in explain(error)
    return False


def spec_of(path: Any) -> dict[str, Any]:
    return {"_target_": path, "command": "touch CANARY", "path": "evil"}


def slots_in_turn(paths: Sequence[str]) -> list[tuple[str, str]]:
    return [(path, list(SLOTS)[i % len(SLOTS)]) for i, path in enumerate(paths)]


def test_built(tally, nothing_called):
    tried = [(path, kind) for path in [*ESCAPES, *MALFORMED] for kind in SLOTS.values()]
    survived = sum(refused(partial(build, spec_of(path), kind)) for path, kind in tried)
    tally("escape: build()", len(tried), survived)
    assert len(ESCAPES) >= 60


def test_configs_as_a_yaml_file_or_a_command_line_compose_them(tally, nothing_called, tmp_path):
    base = composed(run_dir=str(tmp_path / "run"))
    tried = [*slots_in_turn(ESCAPES), *slots_in_turn(ESCAPES[1:]), *slots_in_turn(ESCAPES[2:])]
    survived = 0
    for path, slot in tried:
        config = copy.deepcopy(base)
        group, _, name = slot.partition(".")
        (config[group] if name else config.values)[name or group] = spec_of(path)
        survived += refused(partial(assemble, config))
    tally("escape: a composed config", len(tried), survived)
    assert not (tmp_path / "run").exists()


def typed(folder: Path, *words: str, script: str = "train.py") -> as_typed.Ended:
    return as_typed.run(words, folder, script=ROOT / "src" / script)


def is_refused(ended: as_typed.Ended, folder: Path, word: str = "") -> bool:
    """One line on stderr, exit code 1, no run directory."""
    line = ended.err.strip()
    clean = ended.code == 1 and line.startswith("gradvitals: ") and "\n" not in line and "Traceback" not in line
    return clean and word in line and not any(path.is_file() for path in folder.rglob("*"))


def test_command_line(tally, nothing_called, tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    survived = 0
    tried = slots_in_turn(ESCAPES[::6])
    for path, slot in tried:
        ended = typed(folder, f"++{slot}._target_={path}", f"++{slot}.command=touch")
        survived += is_refused(ended, folder, path)
    tally("escape: a command line", len(tried), survived)


def test_an_experiments_file(tally, nothing_called, tmp_path):
    folder, conf = tmp_path / "here", tmp_path / "conf" / "experiment"
    folder.mkdir()
    conf.mkdir(parents=True)
    survived = 0
    tried = slots_in_turn(ESCAPES[1::8])
    for path, slot in tried:
        group, _, name = slot.partition(".")
        content = {group: {name: spec_of(path)} if name else spec_of(path)}
        (conf / "bad.yaml").write_text(f"# @package _global_\n{yaml.safe_dump(content)}")
        ended = typed(folder, f"--config-dir={conf.parent}", "experiment=bad")
        survived += is_refused(ended, folder)
    tally("escape: an experiment's file", len(tried), survived)


HYDRAS = [
    *({"callbacks": {"x": spec_of(path)}} for path in ESCAPES),
    *({"launcher": spec_of(path)} for path in ESCAPES),
    *({"sweeper": spec_of(path)} for path in ESCAPES),
    *({"job_logging": {"handlers": {"x": {"class": path}}}} for path in ESCAPES),
    *({"hydra_logging": {"formatters": {"x": {"()": path, "command": "x"}}}} for path in ESCAPES),
    *(
        {"job_logging": {"handlers": {"x": {"class": "logging.StreamHandler", "stream": f"ext://{p}"}}}}
        for p in ESCAPES
    ),
    {"job_logging": {"filters": {"x": {"()": "evil.call"}}}},
    {"job_logging": {"handlers": {"x": {"class": "logging.handlers.QueueHandler", "queue": "evil.call"}}}},
    {"job_logging": {"handlers": {"x": {"class": "logging.StreamHandler", "inner": {"()": "evil.call"}}}}},
    {"job_logging": {"root": {"()": "evil.call"}}},
    {"callbacks": {"x": {"_target_": "hydra.experimental.callback.Callback", "inner": spec_of("evil.call")}}},
    {"callbacks": {"x": {"_target_": "hydra.experimental.callback.Callback", "inner": [spec_of("evil.call")]}}},
    {"callbacks": {"x": "${hydra.other}"}, "other": spec_of("evil.call")},
    {"launcher": {"_target_": "hydra_plugins.gradvitals_sweepers.Grid"}},  # a sweeper
    {
        "sweeper": {"_target_": "hydra_plugins.gradvitals_sweepers.Grid", "params": "${hydra.x}"},
        "x": spec_of("evil.call"),
    },
    {"sweeper": {"_target_": "${hydra.x}"}, "x": "evil.call"},
    {"job": {"env_set": {"GRADVITALS_ALLOW": "evil"}}},
    {"job": {"env_set": {"LD_PRELOAD": "evil.so"}}},
]


def test_hydras_own_keys(tally, nothing_called):
    survived = sum(refused(partial(check_hydra, OmegaConf.create({"hydra": config}).hydra)) for config in HYDRAS)
    tally("escape: Hydra's own keys", len(HYDRAS), survived)


def test_hydras_own_keys_on_a_command_line(tally, nothing_called, tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    tried = [
        "+hydra.callbacks.x._target_=evil.call",
        "+hydra.callbacks.guard.x._target_=os.system",
        "hydra.launcher._target_=evil.call",
        "hydra.sweeper._target_=evil.call",
        "+hydra.job_logging.handlers.x.class=evil.call",
        "+hydra.hydra_logging.formatters.x.class=evil.call",
        "hydra.job_logging.handlers.console.stream=ext://evil.call",
        "+hydra.job.env_set.GRADVITALS_ALLOW=evil",
        "+model={_target_:evil.Net,_partial_:true}",
    ]
    survived = sum(is_refused(typed(folder, word), folder) for word in tried)
    survived += is_refused(typed(folder, "-m", "seed=0,1", "+hydra.callbacks.x._target_=evil.call"), folder)
    tally("escape: Hydra's own keys, typed", len(tried) + 1, survived)


SAVED = [
    "hydra.callbacks.x._target_=evil.call",
    "+hydra.callbacks.x._target_=evil.call",
    "++hydra.callbacks={x:{_target_:evil.call}}",
    "~hydra.callbacks.guard",
    "hydra.launcher._target_=evil.call",
    "hydra/launcher=../../../evil",
    "hydra.launcher={_target_:evil.call}",
    "+hydra.launcher.setup=[touch CANARY]",
    "hydra.sweeper._target_=evil.call",
    "hydra.sweeper={_target_:evil.call}",
    "hydra.searchpath=[file:///evil]",
    "hydra.job.env_set.GRADVITALS_ALLOW=evil",
    "+hydra.job_logging.handlers.x.class=evil.call",
    "hydra/job_logging=evil",
    "hydra/callbacks=evil",
    "+hydra/callbacks@hydra=evil",
    "hydra.run.dir=/elsewhere",
    "hydra.sweep.subdir=../../elsewhere",
    "hydra.output_subdir=/elsewhere",
    "--config-dir=/evil",
    "--config-path=/evil",
    "-cn=evil",
    "--multirun",
    "--shell-completion",
]


def test_saved_words_of_hydras(tally, nothing_called, tmp_path):
    """A directory that is resumed may be somebody else's."""
    (tmp_path / ".hydra").mkdir()
    (tmp_path / "checkpoints").mkdir()
    survived = 0
    for word in SAVED:
        (tmp_path / ".hydra/overrides.yaml").write_text(yaml.safe_dump(["act=elu", word]))
        saved = {"hydra": {"overrides": {"task": ["act=elu,relu"], "hydra": ["hydra.mode=MULTIRUN", word]}}}
        (tmp_path / "multirun.yaml").write_text(yaml.safe_dump(saved))
        survived += refused(lambda: rewrite(["train.py", f"resume={tmp_path}"]))
        survived += refused(lambda: rewrite(["train.py", f"resume_sweep={tmp_path}"]))
    tally("escape: a resumed directory, Hydra's keys", 2 * len(SAVED), survived)


def test_saved_words_that_run_no_code_are_replayed(tmp_path):
    words = ["hydra.mode=MULTIRUN", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "+hydra.launcher.mem_gb=4"]
    words += ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=7", "hydra.sweeper.params.act=choice(a,b)"]
    saved = {"hydra": {"overrides": {"task": ["act=elu,relu"], "hydra": words}}}
    (tmp_path / "multirun.yaml").write_text(yaml.safe_dump(saved))
    assert rewrite(["train.py", f"resume_sweep={tmp_path}"])[1:-2] == ["act=elu,relu", *words]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A small run that was trained as users do."""
    folder = tmp_path_factory.mktemp("trained")
    ended = typed(folder, *SHORT, "hydra.run.dir=run")
    assert ended.code == 0, ended.err
    return folder / "run"


@pytest.fixture
def run_dir(trained, tmp_path) -> Path:
    """A copy of it to spoil."""
    import shutil

    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_resumed_by_saved_words(tally, nothing_called, run_dir):
    (run_dir / "result.json").unlink()
    tried = slots_in_turn(ESCAPES[::12])
    survived, before = 0, (run_dir / "checkpoints/last.ckpt").read_bytes()
    for path, slot in tried:
        words = [word for word in SHORT if word.split(".")[0] != slot]
        (run_dir / ".hydra/overrides.yaml").write_text(yaml.safe_dump([*words, f"++{slot}._target_={path}"]))
        ended = typed(run_dir.parent, f"resume={run_dir}")
        survived += ended.code == 1 and "Traceback" not in ended.err and path in ended.err
    kept = (run_dir / "checkpoints/last.ckpt").read_bytes() == before
    tally("escape: a resumed directory", len(tried), survived if kept else 0, 0 if kept else len(before))


def test_tested_again(tally, nothing_called, run_dir):
    """``eval.py`` of a directory whose config was edited."""
    file = run_dir / ".hydra/config.yaml"
    config, survived = yaml.safe_load(file.read_text()), 0
    for i, path in enumerate(ESCAPES):
        file.write_text(yaml.safe_dump(config | {("data", "model")[i % 2]: spec_of(path)}))
        survived += refused(lambda: evaluate(run_dir))
    tally("escape: a directory that is tested", len(ESCAPES), survived)


def test_hyperparameters_of_a_checkpoint(tally, nothing_called, run_dir):
    file = run_dir / "checkpoints/best.ckpt"
    checkpoint = torch.load(file, weights_only=True)
    survived = 0
    for i, path in enumerate(ESCAPES):
        slot = ("model", "optimizer", "scheduler")[i % 3]
        torch.save(checkpoint | {"hyper_parameters": checkpoint["hyper_parameters"] | {slot: spec_of(path)}}, file)
        survived += refused(lambda: Classifier.load_from_checkpoint(file))
        survived += refused(lambda: rebuild(file, "checkpoint"))
    tally("escape: a checkpoint's hyperparameters", 2 * len(ESCAPES), survived)


def test_a_checkpoint_cannot_name_its_maker(tally, nothing_called, run_dir):
    file = run_dir / "checkpoints/best.ckpt"
    checkpoint, survived = torch.load(file, weights_only=True), 0
    keys = {"_instantiator": "evil.call", "_class_path": "evil.Net", "hparams_type": "evil.call"}
    for key, value in keys.items():
        more = {"_instantiator": "lightning.pytorch.cli.instantiate_module"} if key == "_class_path" else {}
        torch.save(checkpoint | {"hyper_parameters": checkpoint["hyper_parameters"] | {key: value} | more}, file)
        survived += refused(lambda: rebuild(file, "checkpoint"))
        try:
            survived += type(Classifier.load_from_checkpoint(file)) is Classifier  # it was not heeded
        except (ValueError, ModuleNotFoundError):
            survived += 1
    tally("escape: a checkpoint's maker", 2 * len(keys), survived)


class Planted:
    """A pickle that would run code where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch CANARY",)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("forced", [True, False])
def test_a_pickle_planted_as_a_checkpoint(tally, nothing_called, run_dir, monkeypatch, zipped, forced):
    """Nor by the variable that lets torch unpickle anything where nobody says otherwise."""
    if forced:
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    content = torch.load(run_dir / "checkpoints/best.ckpt", weights_only=True) | {"callbacks": Planted()}
    for name in ("best", "last"):
        torch.save(content, run_dir / f"checkpoints/{name}.ckpt", _use_new_zipfile_serialization=zipped)
    for file in (run_dir / "checkpoints").glob("last-*.ckpt"):
        file.unlink()
    (run_dir / "result.json").unlink()
    home, last = run_dir.parent, run_dir / "checkpoints/last.ckpt"
    survived = 0
    for word in (f"weights={last}", f"weights={run_dir}", f"ckpt_path={last}", f"resume={run_dir}"):
        beside = () if word.startswith("resume") else (*SHORT, "hydra.run.dir=new")
        ended = typed(home, word, *beside)
        survived += ended.code == 1 and ended.err.strip().startswith("gradvitals:") and ended.err.count("\n") == 1
    survived += refused(lambda: evaluate(run_dir)) + refused(lambda: evaluate(run_dir, checkpoint="last"))
    tally("escape: a planted pickle", 6, survived)
    assert not (home / "CANARY").exists()
    assert not (home / "new").exists()


def test_checkpoints_are_files_of_this_machine(tally, nothing_called, tmp_path):
    """Lightning would fetch these, and unpickle what came."""
    tried = ["https://localhost/a.ckpt", "registry:somebody/model", "memory://a.ckpt", "simplecache::file:///a.ckpt"]
    base = composed("logger=none", run_dir=str(tmp_path))
    survived = sum(_names_no_file(base | {"ckpt_path": path}, path) for path in tried)
    tally("escape: a checkpoint elsewhere", len(tried), survived)


def _names_no_file(config: RunConfig, path: str) -> bool:
    with pytest.raises(FileNotFoundError, match="there is no"):
        assemble(config)
    return True


FITTING = [  # classes of the right type, asked to call something by their arguments
    (Callback, {"_target_": "lightning.pytorch.callbacks.LambdaCallback", "on_fit_start": "evil.call"}),
    (Callback, {"_target_": "lightning.pytorch.callbacks.ThroughputMonitor", "batch_size_fn": "evil.call"}),
    (Callback, {"_target_": "lightning.pytorch.callbacks.ModelCheckpoint", "dirpath": spec_of("evil.call")}),
    (Callback, {"_target_": "lightning.pytorch.callbacks.ModelCheckpoint", "dirpath": [[spec_of("evil.call")]]}),
    (Callback, {"_target_": "lightning.pytorch.callbacks.Timer", "_partial_": True}),
    (Callback, {"_target_": "lightning.pytorch.callbacks.Timer", "_args_": ["evil.call"]}),
    (LRScheduler, {"_target_": "torch.optim.lr_scheduler.LambdaLR", "lr_lambda": "evil.call"}),
    (LRScheduler, {"_target_": "torch.optim.lr_scheduler.MultiplicativeLR", "lr_lambda": "evil.call"}),
    (
        LRScheduler,
        {"_target_": "torch.optim.lr_scheduler.CyclicLR", "scale_fn": "evil.call", "base_lr": 1, "max_lr": 2},
    ),
    (nn.Module, {"_target_": "torchvision.ops.MLP", "activation_layer": "evil.call", "hidden_channels": [2]}),
    (nn.Module, {"_target_": "torch.nn.Linear", "_convert_": "all", "out_features": 2}),
    (nn.Module, {"_target_": "torch.nn.Linear", "_recursive_": True, "out_features": spec_of("evil.call")}),
    (nn.Module, {"_target_": "torch.nn.Linear", "out_features": 2, "weights": "https://localhost/w.pt"}),
    (nn.Module, {"_target_": "gradvitals.nets.mlp.MLP", "depth": 1, "out_features": 1, "act": spec_of("evil.call")}),
    (Logger, {"_target_": "lightning.pytorch.loggers.Logger"}),
    (Logger, {"_target_": "lightning.pytorch.loggers.TensorBoardLogger", "save_dir": ".", "_args_": ["evil.call"]}),
    (Logger, {"_target_": "lightning.pytorch.loggers.TensorBoardLogger", "save_dir": ".", "x": spec_of("evil.call")}),
]


def test_classes_that_fit_and_are_given_code(tally, nothing_called, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    offers = {"optimizer": optimizer, "in_features": 3}
    survived = sum(_is_not_taken(spec, kind, offers) for kind, spec in FITTING)
    tally("escape: code in an argument", len(FITTING), survived)


def _is_not_taken(spec: dict[str, Any], kind: type, offers: dict[str, Any]) -> bool:
    try:
        build(spec, kind, offers)
    except (ValueError, TypeError, AttributeError):
        return True
    return False


TRAINER = ["strategy", "plugins", "accelerator", "precision", "callbacks", "logger", "devices"]


def test_the_trainers_words_are_looked_up_and_not_called(tally, nothing_called, tmp_path):
    base = composed("logger=none", run_dir=str(tmp_path / "run"))
    survived = 0
    for key in TRAINER:
        for value in ("evil.call", ["evil.call"], spec_of("evil.call")):
            config = base | {"trainer": base["trainer"] | {key: value}}
            with pytest.raises((ValueError, TypeError, MisconfigurationException)) as error:
                assemble(config)
            survived += "\n" not in explain(error.value)
    tally("escape: the trainer's words", 3 * len(TRAINER), survived)


@pytest.mark.parametrize("script", ["cure.py", "preflight.py"])
def test_the_other_commands(tally, nothing_called, tmp_path, script):
    folder = tmp_path / "here"
    folder.mkdir()
    words = ("++model._target_=os.system", "++data._target_=evil.call", "+hydra.callbacks.x._target_=evil.call")
    survived = sum(is_refused(typed(folder, word, script=script), folder) for word in words)
    tally(f"escape: {script}", len(words), survived)


@pytest.mark.parametrize("file", [".hydra/config.yaml", ".hydra/overrides.yaml", "multirun.yaml"])
def test_yaml_makes_no_objects(tally, nothing_called, run_dir, file):
    """Neither where a directory is resumed, nor tested, nor shown."""
    from gradvitals.results.record import read as read_run

    (run_dir / "result.json").unlink()
    (run_dir / file).write_text("!!python/object/apply:os.system ['touch CANARY']\n")
    calls: list[Callable[[], object]] = [
        lambda: rewrite(["train.py", f"resume={run_dir}"]),
        lambda: rewrite(["train.py", f"resume_sweep={run_dir}"]),
        lambda: evaluate(run_dir),
        lambda: read_run(run_dir),
    ]
    tally("escape: objects in YAML", len(calls), sum(map(ends_in_a_line, calls)))


def ends_in_a_line(call: Callable[[], object]) -> bool:
    """Whether a call returns, or is refused in one line."""
    try:
        call()
    except Exception as error:
        return "\n" not in explain(error)
    return True


def test_refusals_are_of_this_projects_kind():
    with pytest.raises(ConfigError, match="hydra.launcher._target_=os.system: package 'os' is not admitted"):
        check_hydra(OmegaConf.create({"launcher": {"_target_": "os.system"}}))
    assert issubclass(LightningModule, nn.Module)
