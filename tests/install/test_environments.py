"""The wheel in an environment with what it asks for and nothing else: a plain loop, the callback, what it costs to import."""

import json
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.install.conftest import Environment
from tests.report.made import a_run

PLAIN_LOOP = """
import gradvitals, sys, torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
x, y = torch.randn(64, 8), torch.randint(3, (64,))
"""
PREFLIGHT = """
print(gradvitals.preflight(model, (x, y), nn.functional.cross_entropy))
"""
WATCH = """
vitals = gradvitals.watch(model, optimizer, total_steps=100)
for _ in range(100):
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    vitals.log(loss)
vitals.close()
print(vitals.diagnosis.verdict, len(vitals.layers))
"""
CALLBACK = """
import gradvitals, sys, torch
from lightning import LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from torch import nn

class Small(LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))

    def training_step(self, batch, index):
        x, y = batch
        return nn.functional.cross_entropy(self.net(x), y)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

torch.manual_seed(0)
data = torch.utils.data.TensorDataset(torch.randn(64, 8), torch.randint(3, (64,)))
trainer = Trainer(
    max_epochs=3, accelerator="cpu", enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    logger=CSVLogger(".", name=""), log_every_n_steps=1, callbacks=[gradvitals.GradientVitals(), *PICTURE],
)
trainer.fit(Small(), torch.utils.data.DataLoader(data, 16))
print("fitted", trainer.global_step)
"""
# What an import costs beyond what is imported anyway: seconds of this process, which no other process lengthens much, and
# the packages that came with it. ``-I`` leaves out the environment, so that nothing of this test's own is measured.
COST = """
import json, sys, time
import {before}
known, began = set(sys.modules), time.process_time()
import gradvitals
gradvitals.{name}
seconds = time.process_time() - began
new = {{name.partition(".")[0] for name in set(sys.modules) - known}} - set(sys.stdlib_module_names)
print(json.dumps([seconds, sorted(new)]))
"""
TRIES = 8


@pytest.mark.parametrize("program", [PREFLIGHT, WATCH], ids=["preflight", "watch"])
def test_a_plain_loop_needs_torch_and_numpy_alone(environment, tmp_path, program):
    done = environment().run(PLAIN_LOOP + program, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_the_callback_needs_lightning_beside_them(environment, tmp_path):
    done = environment("lightning").run(CALLBACK.replace("*PICTURE", ""), cwd=tmp_path, warnings="default")
    assert done.returncode == 0, done.stderr
    assert "fitted 12" in done.stdout
    (file,) = tmp_path.rglob("metrics.csv")
    assert {"grad_norm/total", "update_ratio/00.net.0"} <= set(file.read_text().partition("\n")[0].split(","))


def test_a_picture_without_matplotlib_is_one_line_and_costs_no_training(environment, tmp_path):
    program = CALLBACK.replace("*PICTURE", "gradvitals.GradientPicture()")
    done = environment("lightning").run(program, cwd=tmp_path, warnings="default")
    assert "fitted 12" in done.stdout
    (line,) = (line for line in done.stderr.splitlines() if "matplotlib" in line)
    assert line.endswith('GradientPicture needs a package: matplotlib. Install it by pip install "gradvitals[report]"')


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [("GradientVitals", "lightning", "lightning"), ("Classifier", "lightning", "lightning")],
)
def test_a_name_that_needs_more_names_its_extra(environment, tmp_path, name, package, extra):
    done = environment().run(f"import gradvitals; gradvitals.{name}", cwd=tmp_path)
    expected = f'gradvitals.{name} needs a package: {package}. Install it by pip install "gradvitals[{extra}]"'
    assert done.stderr.splitlines()[-1] == f"gradvitals.errors.MissingExtra: {expected}"


def cost(environment: Environment, before: str, name: str, budget: float, cwd: Path) -> float:
    """The least CPU time of several tries, each in a process of its own; no more of them as soon as one is in budget."""
    least = float("inf")
    for _ in range(TRIES):
        done = environment.run(COST.format(before=before, name=name), cwd=cwd, warnings="default")
        assert done.returncode == 0, done.stderr
        seconds, packages = json.loads(done.stdout)
        assert packages == ["gradvitals"]
        least = min(least, seconds)
        if least <= budget:
            break
    return least


@pytest.mark.parametrize("name", ["watch", "preflight", "diagnose"])
def test_the_monitor_costs_a_tenth_of_a_second_beyond_torch(environment, tmp_path, name):
    assert cost(environment("app"), "torch", name, 0.1, tmp_path) <= 0.1


def test_the_callback_costs_a_fifth_of_a_second_beyond_lightning(environment, tmp_path):
    assert cost(environment("app"), "lightning", "GradientVitals", 0.2, tmp_path) <= 0.2


def in_one_line(done, message: str) -> None:
    """It ended in one line, and in no traceback."""
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"gradvitals: {message}\n"


def test_an_installed_package_composes_its_own_configs_and_none_of_the_working_folder(environment, tmp_path):
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/train.yaml").touch()  # of whomever
    (tmp_path / "conf/model/bn.yaml").write_text("_target_: evil.Net\n")
    (tmp_path / "pyproject.toml").write_text('[tool.gradvitals]\nallow = ["evil"]\n')
    (tmp_path / ".env").write_text("GRADVITALS_ALLOW=evil\n")
    done = environment("app").gradvitals("train", "model=bn", "--cfg", "job", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "_target_: gradvitals.nets.mlp.MLP" in done.stdout
    done = environment("app").gradvitals("train", "model=bm", cwd=tmp_path)
    assert done.stderr.startswith("gradvitals: model=bm: no such option; expected model=bn")


@pytest.mark.parametrize(
    ("words", "package", "extra"),
    [
        (["report", "."], "yaml", "report"),
        (["board", "."], "tensorboard", "tensorboard"),
        (["eval", "."], "hydra", "app"),
        (["predict", "."], "hydra", "app"),
        (["export", "."], "hydra", "app"),
        (["train", "model=bn"], "hydra", "app"),
        (["cure", "--help"], "hydra", "app"),
    ],
)
def test_a_command_without_its_extra_is_one_line(environment, tmp_path, words, package, extra):
    a_run(tmp_path / "run")
    (tmp_path / "run/events.out.tfevents.1").touch()
    done = environment().gradvitals(*words, cwd=tmp_path)
    in_one_line(done, f'{words[0]} needs a package: {package}. Install it by pip install "gradvitals[{extra}]"')


@pytest.mark.parametrize("command", ["train", "preflight", "cure"])
def test_in_a_checkout_without_the_extra_a_command_is_one_line(environment, tmp_path, command):
    done = environment().gradvitals(command, "model=bn", cwd=tmp_path, checkout=ROOT)
    in_one_line(done, f'{command} needs a package: hydra. Install it by pip install "gradvitals[app]"')


def test_a_page_without_plotly_is_one_line(environment, tmp_path):
    a_run(tmp_path / "run")
    done = environment("tensorboard", others=("matplotlib", "pyyaml")).gradvitals("report", "run", cwd=tmp_path)
    in_one_line(done, 'report needs a package: plotly. Install it by pip install "gradvitals[report]"')
    assert not (tmp_path / "run/report.html").exists()


def test_report_works_anywhere_with_its_extra_alone(environment, tmp_path):
    a_run(tmp_path / "runs/a")
    a_run(tmp_path / "runs/b")
    done = environment("report").gradvitals("report", "runs/a", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("report       runs/a/report.html (2.0 MB)")
    assert "vanishing" in (tmp_path / "runs/a/report.html").read_text()
    done = environment("report").gradvitals("report", "runs", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_and_version_need_nothing(environment, tmp_path):
    for words in ([], ["--help"], ["--version"], ["report", "--help"], ["new", "--help"], ["new", "mine"]):
        done = environment().gradvitals(*words, cwd=tmp_path, importtime=True)
        loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "gradvitals.app.commands.console" in loaded
        assert not loaded & {"torch", "numpy", "hydra", "rich", "yaml"}
