"""The commands as a user types them, each in a process and a folder of its own."""

import json
import math
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gradvitals.app.commands.resume import rewrite
from gradvitals.errors import ConfigError
from tests.conftest import CONF, ROOT
from tests.counting import python_calls_of_a_script

sys.path.insert(0, str(ROOT / "benchmarks" / "speed"))

import start

TWO_EPOCHS = "trainer.max_epochs=2"


def runs(folder: Path) -> list[Path]:
    return sorted(folder.glob("logs/train/runs/*"))


def test_the_readmes_command(command, tmp_path):
    done = command("model=bn", "act=elu", TWO_EPOCHS)
    assert done.returncode == 0, done.stderr
    (run,) = runs(tmp_path)
    assert re.fullmatch(r"model-bn_act-elu_trainer.max_epochs-2_\d{8}-\d{6}", run.name)
    found = {path.name for path in run.iterdir()}
    assert {
        ".hydra",
        "checkpoints",
        "train.log",
        "result.json",
        "vitals.json",
        "gradient_by_layer.png",
        "report.html",
    } <= found
    assert any(name.startswith("events.out.tfevents") for name in found)
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt", "last-1.ckpt"}
    assert all(len(line) <= 80 or "logs/" in line for line in done.stdout.splitlines())
    assert "\x1b" not in done.stdout  # no terminal
    lines = done.stdout.replace("\n" + " " * 13, " ").splitlines()  # as if they were not wrapped
    words = ["completed", "metrics", "parameters", "verdict", "profile", "run", "report", "tensorboard"]
    assert [line.split()[0] for line in lines] == words
    assert "test/acc 0." in lines[1]
    assert lines[2] == "parameters   43,786: 43,018 trained, 768 moving statistics"
    assert lines[3] == "verdict      healthy"
    assert lines[4].startswith("profile      even: at step 0 layer 0 receives ")
    assert (tmp_path / lines[5].split()[1]) == run
    assert lines[7].endswith(f" {ROOT / 'src/board.py'} {run.relative_to(tmp_path)}")
    assert done.stderr == f"run          {run.relative_to(tmp_path)}\n"  # what a log has from the start, and no more
    assert (run / "train.log").read_text().count("completed") == 1

    evaluated = command(str(run), script="eval.py")
    assert evaluated.returncode == 0, evaluated.stderr
    metrics = json.loads((run / "result.json").read_text())["metrics"]
    assert f"test/acc {metrics['test/acc']['final']:.4g}" in evaluated.stdout


def test_a_multirun(warm_command, tmp_path):
    done = warm_command("-m", "model=plain,bn", "act=relu,elu", TWO_EPOCHS)
    assert done.returncode == 0, done.stderr
    jobs = sorted(tmp_path.glob("logs/train/multiruns/*/*/result.json"))
    assert done.stderr == f"sweep        {jobs[0].parents[1].relative_to(tmp_path)}\n"  # once, and no line per job
    assert [json.loads(job.read_text())["status"] for job in jobs] == ["completed"] * 4
    names = [job.parent.name for job in jobs]
    assert names[0] == "0_model-plain_act-relu_trainer.max_epochs-2"
    assert names[3] == "3_model-bn_act-elu_trainer.max_epochs-2"


SWEEP = """
# @package _global_
defaults:
  - override /data: iris
trainer:
  max_epochs: 1
hydra:
  mode: MULTIRUN
  sweeper:
    params:
      init: he_normal,default
"""


def test_an_experiment_may_be_a_sweep_and_one_of_it_typed(warm_command, tmp_path):
    (tmp_path / "mine/experiment").mkdir(parents=True)
    (tmp_path / "mine/experiment/race.yaml").write_text(SWEEP)
    where = f"hydra.searchpath=[file://{tmp_path}/mine]"
    done = warm_command("experiment=race", where)
    assert done.returncode == 0, done.stderr
    jobs = sorted(tmp_path.glob("logs/train/multiruns/*/*/result.json"))
    assert [job.parent.name for job in jobs] == ["0_init-he_normal_race", "1_init-default_race"]
    assert not runs(tmp_path)
    assert warm_command("experiment=race", where, "hydra.mode=RUN", "init=default").returncode == 0
    assert len(runs(tmp_path)) == 1


def test_a_failing_job_does_not_hide_the_others(warm_command, tmp_path):
    done = warm_command("-m", "optimizer.lr=0.001,abc,0.002", TWO_EPOCHS)
    assert done.returncode == 1
    assert "optimizer.lr: expected a number of at least 0; got 'abc'" in done.stdout
    jobs = sorted(tmp_path.glob("logs/train/multiruns/*/*/result.json"))
    assert [json.loads(job.read_text())["status"] for job in jobs] == ["completed", "failed", "completed"]


def test_resume_continues_in_the_same_directory(warm_command, tmp_path):
    assert warm_command(TWO_EPOCHS).returncode == 0
    for typed in ([], [TWO_EPOCHS]):
        again = warm_command("resume=latest", *typed)
        assert again.returncode == 0
        assert "is complete" in again.stdout
    (run,) = runs(tmp_path)
    longer = warm_command(f"resume={run}", "trainer.max_epochs=4")
    assert longer.returncode == 0, longer.stderr
    assert runs(tmp_path) == [run]
    found = json.loads((run / "result.json").read_text())
    assert (found["epochs"], found["steps"]) == (4, 160)

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(run))
    read.Reload()
    assert [point.step for point in read.Scalars("val/acc")] == [39, 79, 119, 159]
    assert len(json.loads((run / "vitals.json").read_text())["layers"]) == 4


def a_run_in(folder):
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text("- act=elu\n")
    return folder


@pytest.mark.parametrize(
    ("typed", "folder"),
    [
        ([], "logs/train/runs"),
        (["paths.logs='my logs'"], "my logs/train/runs"),
        (["task_name=study"], "logs/study/runs"),
        (["task_name=study", "paths.logs=mine"], "mine/study/runs"),
    ],
)
def test_the_latest_run_is_looked_for_where_runs_are(monkeypatch, tmp_path, typed, folder):
    monkeypatch.chdir(tmp_path)
    for place in ("logs/train/runs", "my logs/train/runs", "logs/study/runs", "mine/study/runs"):
        a_run_in(tmp_path / place / "2026-01-01")
        newest = a_run_in(tmp_path / place / "2026-01-02").relative_to(tmp_path)
        assert newest.parent == Path(place)
    found = rewrite(["train.py", "resume=latest", *typed, "trainer.max_epochs=3"])
    here = f"'{folder}/2026-01-02'"
    assert found == ["train.py", "act=elu", "trainer.max_epochs=3", f"resume={here}", f"hydra.run.dir={here}"]


def test_where_runs_are_is_typed_beside_latest_alone(tmp_path):
    run = a_run_in(tmp_path / "run")
    with pytest.raises(ConfigError, match=r"may be typed beside; got paths.logs=mine"):
        rewrite(["train.py", f"resume={run}", "paths.logs=mine"])


def test_a_resume_that_is_refused_leaves_the_run_whole(warm_command, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(60)))
    assert warm_command("data=csv", f"data.path={table}", "data.target=y", TWO_EPOCHS).returncode == 0
    table.rename(tmp_path / "moved.csv")
    refused = warm_command("resume=latest", "trainer.max_epochs=3")
    assert refused.returncode == 1
    assert "there is none at" in refused.stderr
    (tmp_path / "moved.csv").rename(table)
    assert warm_command("resume=latest", "trainer.max_epochs=3").returncode == 0


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_a_run_that_can_be_resumed(tmp_path, sent, code):
    call = [sys.executable, str(CONF.parent / "src/train.py"), "trainer.max_epochs=100000"]
    process = subprocess.Popen(call, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("logs/train/runs/*/checkpoints/last.ckpt")):
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(sent)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    (run,) = runs(tmp_path)
    assert json.loads((run / "result.json").read_text())["status"] == "interrupted"


def test_two_processes_train_one_network(command, tmp_path):
    done = command("trainer=ddp_cpu", "data.shuffle=false", TWO_EPOCHS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("metrics ") == 1
    assert done.stderr.count("run   ") == 1
    (run,) = runs(tmp_path)
    # 1,257 samples are 629 for each process, in batches of 32: 20 steps an epoch.
    assert json.loads((run / "result.json").read_text())["steps"] == 40


def test_paths_of_the_project_may_be_interpolated(warm_command):
    done = warm_command("weights=${paths.logs}/none.ckpt")
    assert "there is no logs/none.ckpt" in done.stderr


def test_weights_of_an_experiments_latest_run(warm_command, tmp_path):
    refused = warm_command("weights=latest:iris_sigmoid")
    assert refused.returncode == 1
    assert "Train it by python src/train.py experiment=iris_sigmoid, or set weights=RUN_DIR" in refused.stderr
    assert runs(tmp_path) == []
    assert warm_command("experiment=iris_sigmoid", "seed=1").returncode == 0
    (first,) = runs(tmp_path)
    done = warm_command("experiment=iris_sigmoid", "weights=latest:iris_sigmoid", "trainer.max_epochs=1")
    assert done.returncode == 0, done.stderr
    assert f"weights      {first.relative_to(tmp_path)}/checkpoints/best.ckpt" in done.stdout


def test_preflight_of_a_recurrent_network_has_a_picture(warm_command, tmp_path):
    sizes = ("model.width=16", "data.length=12", "data.num_samples=100")
    done = warm_command("model=rnn", "data=adding", *sizes, script="preflight.py")
    assert done.returncode == 0, done.stderr
    assert "through time, layers.0: the first 2 of 12 steps receive" in done.stdout
    (run,) = tmp_path.glob("logs/preflight/runs/*")
    (found,) = json.loads((run / "preflight.json").read_text())["through_time"]
    assert len(found["norms"]) == 12
    assert 0 < found["factor_predicted"] < 1
    assert (run / "gradient_through_time.png").read_bytes().startswith(b"\x89PNG")


def test_preflight_trains_nothing_and_refuses_what_has_no_part_in_it(warm_command, tmp_path):
    done = warm_command("act=sigmoid", "model.depth=10", script="preflight.py")
    assert done.returncode == 0, done.stderr
    assert "vanishing: layer 0 receives" in done.stdout
    assert "expected 2.303 (log 10)" in done.stdout
    assert "; trainable to about 2 layers, this net has 10\n" in done.stdout
    (run,) = tmp_path.glob("logs/preflight/runs/*")
    found = json.loads((run / "preflight.json").read_text())
    assert (found["verdict"], round(found["loss_expected"], 3)) == ("vanishing", 2.303)
    assert found["trainable_depth"] == pytest.approx(2.07, abs=0.05)  # 6 / -ln(.0557), theory.md
    for layer in found["layers"][1:-2]:
        assert layer["gain_predicted"] == pytest.approx(0.236, abs=0.01)
        assert abs(math.log(layer["gain_measured"] / layer["gain_predicted"])) < 3 * layer["gain_scatter"]
        assert layer["saturated_fraction"] == layer["dead_fraction"] == 0
        assert layer["update_ratio"] >= 0
    assert {path.name for path in run.iterdir()} == {".hydra", "preflight.json", "preflight.log"}
    assert done.stderr == ""
    for typed, words in ((["resume=latest"], "resume: has no part"), (["model.depth=abc"], "expected an integer")):
        refused = warm_command(*typed, script="preflight.py")
        assert refused.returncode == 1
        assert words in refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1
    assert list(tmp_path.glob("logs/preflight/runs/*")) == [run]


# Told by Hydra's composition or the guard: no torch is imported, so each takes well under a second.
QUICK = [
    (["model=rezerro"], "model=rezerro: no such option; expected model=rezero\n"),
    (["model=resnet"], "model=resnet: no such option; expected model=residual\n"),
    (["lr=.1"], "lr: no such key; expected optimizer.lr=.1\n"),
    (["+extras.print_config=true"], "extras.print_config: no such key; expected print_config=true\n"),
    (["fit"], "fit: there are no subcommands; expected python src/train.py\n"),
    (["fit", "--trainer.max_epochs", "5"], "is typed without dashes, KEY=VALUE; expected trainer.max_epochs=5\n"),
    (["--learning-rate=0.1"], "--learning-rate: a key is typed without dashes, KEY=VALUE; expected optimizer.lr=0.1\n"),
    (["--model", "MLP"], "--model: a key is typed without dashes, KEY=VALUE; expected model=plain\n"),
    (["--no-such"], "unrecognized arguments: --no-such; expected KEY=VALUE"),
    (["modle=bn"], "modle: no such key; expected model"),
    (["model.dept=3"], "model.dept: no such key; expected model.depth"),
    (["optimizer.lrr=1"], "optimizer.lrr: no such key; expected optimizer.lr"),
    (["act.alpha=0.3"], "act.alpha: act=relu takes no parameter; got alpha"),
    (["act=elu", "act.negative_slope=1"], "act.negative_slope: act=elu takes alpha; got negative_slope"),
    (["optimizer.lr=abc"], "optimizer.lr: expected a number of at least 0; got 'abc'"),
    (["model.depth=-3"], "model.depth: expected an integer from 0 to 100000; got -3"),
    (["trainer.max_epochs=-3"], "trainer.max_epochs: expected"),
    (["model.hidden=[300,100]", "model.depth=4"], "model.hidden=[300, 100] says the widths already"),
    (["model.hidden=[300,"], "cannot read 'model.hidden=[300,'"),
    (["resume=latest"], "expected a run under logs/train/runs"),
    (["resume=nowhere"], "nowhere contains no .hydra/overrides.yaml"),
]


@pytest.mark.parametrize(
    ("typed", "words"), QUICK, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_bad_input_ends_at_once_in_one_line(command, tmp_path, typed, words):
    done = command(*typed, PYTHONPROFILEIMPORTTIME="1")
    lines = done.stderr.strip().splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    said = [line for line in lines if not line.startswith("import time:")]
    assert done.returncode == 1
    assert words in "\n".join(said) + "\n"
    assert len(said) <= 2
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "logs").exists()
    assert "hydra" in imported
    assert not imported & {"torch", "lightning", "pandas", "sklearn", "matplotlib"}  # they take seconds


# Told when the run is put together, before training.
SLOW = [
    (["data=csv", "data.path=nope.csv", "data.target=x"], "data.path: expected a CSV file"),
    (["model._target_=os.system"], "package 'os' is not admitted"),
]


@pytest.mark.parametrize(("typed", "words"), SLOW, ids=["csv", "escape"])
def test_bad_input_leaves_no_half_made_directory(command, tmp_path, typed, words):
    done = command(*typed)
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2
    assert "Traceback" not in done.stderr
    assert runs(tmp_path) == []


def test_a_directory_that_holds_a_run_is_refused(warm_command, tmp_path):
    (tmp_path / "mine/.hydra").mkdir(parents=True)
    done = warm_command("hydra.run.dir=mine")
    assert done.returncode == 1
    assert "mine already contains a run. Continue it by resume=mine" in done.stderr


def test_the_traceback_is_there_for_who_asks(command):
    assert "Traceback" in command("model=resnet", HYDRA_FULL_ERROR="1").stderr


def test_a_pair_of_torch_and_torchvision_that_does_not_fit(command, tmp_path):
    fake = tmp_path / "fake/torchvision"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    done = command("data=fashion_mnist", PYTHONPATH=str(fake.parent))
    assert done.returncode == 1
    assert "torch and torchvision cannot be imported together" in done.stderr
    assert "constraints.txt" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.fixture
def empty_app(tmp_path) -> Path:
    """The one that the benchmark starts beside ours."""
    return start.empty_app(tmp_path / "empty")


@pytest.mark.parametrize("words", [["--help"], ["--cfg", "job"]], ids=" ".join)
def test_help_and_cfg_start_as_fast_as_an_empty_app(empty_app, words, tmp_path):
    # `make bench` measures seconds, which no test can rely on. Calls are the same on every machine.
    ours = python_calls_of_a_script([str(CONF.parent / "src/train.py"), *words], tmp_path)
    empty = python_calls_of_a_script([str(empty_app), *words], tmp_path)
    assert 0 < ours <= 1.4 * empty


HELP = {
    "train.py": ("Trains a deep network", "  print_config=false "),
    "cure.py": ("Cures a network that does not learn", "  cure.share=0.1 "),
    "preflight.py": ("Sends one training batch through a network", "Groups (GROUP=OPTION)"),
    "eval.py": ("usage: eval.py", "Tests a trained run"),
    "predict.py": ("usage: predict.py", "Writes the predictions of a trained run"),
    "export.py": ("usage: export.py", "Writes the weights of a run"),
    "report.py": ("usage: report.py", "Writes one page about a run"),
}


@pytest.mark.parametrize("script", HELP)
def test_the_help_of_a_command_is_its_own(command, script):
    first, own = HELP[script]
    done = command("--help", script=script, COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(first)
    assert own in done.stdout
    examples = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("  python ")]
    assert len(examples) >= 3
    assert set(examples) == {f"src/{script}"}
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_help_lists_groups_with_what_each_is(command):
    done = command("act=elu", "--help")
    assert (
        "\n  act         the activation between the layers\n              elu, erf, exponential, gelu," in done.stdout
    )
    assert (
        "\n  model       the network: its layers, norms and shortcuts\n              plain, bn, cnn, gn, gru"
        in done.stdout
    )
    phrases = [
        line[14:]
        for line in done.stdout.partition("Groups (")[2].partition("All keys")[0].splitlines()
        if re.match(r"  \w", line)
    ]
    assert len(phrases) == 14
    assert all(phrases)  # no group is without one


def test_help_lists_options_of_the_users_own(command, tmp_path):
    for name in ("act/mine", "experiment/cured/it", "extra/one"):
        (tmp_path / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / f"{name}.yaml").write_text("name: relu\n")
    done = command("--config-dir", "conf", "--help")
    assert "leaky_relu, mine, mish" in " ".join(done.stdout.split())
    assert "cured/it" in done.stdout
    assert "\n  extra\n              one\n" in done.stdout


def python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=CONF.parent / "src", check=False
    )


def test_the_package_imports_with_hydra_blocked():
    done = python(
        "import sys; sys.modules['hydra'] = sys.modules['omegaconf'] = None\n"
        "from gradvitals import MLP, Classifier, GradientVitals\n"
        "import gradvitals.data.csv, gradvitals.data.images, gradvitals.data.digits"
    )
    assert done.returncode == 0, done.stderr


def test_nothing_heavy_before_main():
    done = python(
        "import sys, train\n"
        "heavy = {'torch', 'lightning', 'torchvision', 'sklearn', 'pandas', 'numpy', 'tensorboard'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    assert done.returncode == 0, done.stderr
    assert python("import sys, gradvitals; assert 'torch' not in sys.modules").returncode == 0
