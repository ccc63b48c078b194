"""A sick config in, a cured experiment out: its parts, and whole cures of small nets."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
from omegaconf import OmegaConf

from gradvitals.app.config.compose import compose
from gradvitals.app.config.overrides import Overrides
from gradvitals.app.config.remedy_overrides import with_remedy
from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.cure import cure as module
from gradvitals.app.cure.attempts import Attempt, CureState, is_cured, most_promising
from gradvitals.app.cure.cure_file import content, effect
from gradvitals.app.cure.experiment_file import experiment, name_of, write_experiment
from gradvitals.app.cure.lr_range_test import RangeTest, range_test, steepest
from gradvitals.app.cure.options import CureOptions
from gradvitals.app.cure.search import count_workers, run_trials, search
from gradvitals.app.cure.trial import Trial, run_trial
from gradvitals.app.run.job import Job
from gradvitals.diagnosis.remedies import Remedy
from gradvitals.errors import ConfigError
from gradvitals.results.objective import Objective
from tests.conftest import CONF, ROOT, composed

OPTIONS = CureOptions(share=0.1, least_steps=30, enough=0.75, confirmations=2, workers=1)
ACC = Objective("val/acc", "max")
GOOD = Trial((), "completed", "healthy", objective=ACC, score=0.9, train_progress=0.8, val_progress=0.8)
SICK = Trial((), "stopped", "vanishing", objective=ACC, score=0.1, steps_planned=800)
# The weights of 8 layers are so small that no gradient arrives; 66 steps at full length.
SMALL = [
    "data=blobs",
    "data.batch_size=32",
    "model.width=16",
    "model.depth=8",
    "optimizer.lr=0.01",
    "trainer.max_epochs=3",
]
SQUEEZED = [*SMALL, "init.gain=0.05", "monitor.every_n_steps=10", "+monitor.thresholds.patience=20"]


@pytest.fixture
def conf(tmp_path):
    """A copy of the configs, so that nothing is written into the repository's."""
    return shutil.copytree(CONF, tmp_path / "conf", ignore=shutil.ignore_patterns("cured"))


@pytest.fixture
def cure_command(tmp_path):
    """Run a copy of the scripts as a user does; the experiments that it writes go to the copy."""
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "cured")
    for folder in ("src", "conf"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignore)

    def run(script, *words):
        call = [sys.executable, str(tmp_path / "src" / script), *words]
        return subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False)

    return run


def remedy(*overrides):
    return Remedy(overrides, "because", "someone")


def attempt(index, **values):
    return Attempt(index, remedy(f"seed={index}"), replace(GOOD, **values))


def order(*trials):
    """The indices, the most promising first."""
    left, ranked = list(trials), []
    while left:
        ranked.append(most_promising(left))
        left.remove(ranked[-1])
    return [found.index for found in ranked]


def test_healthy_trials_come_first():
    assert order(attempt(0, verdict="stalled", score=0.95), attempt(1, score=0.5)) == [1, 0]
    assert order(attempt(0, status="stopped", score=0.95), attempt(1, score=0.5)) == [1, 0]


def test_the_better_metric_comes_first():
    assert order(attempt(0, score=0.80), attempt(1, score=0.90)) == [1, 0]


def test_at_nearly_equal_metric_the_loss_tells_and_then_the_smaller_change():
    assert order(attempt(0, score=0.89), attempt(1, score=0.90)) == [0, 1]
    assert order(attempt(0, score=0.89, train_progress=0.5, val_progress=0.6), attempt(1, score=0.90)) == [1, 0]
    assert order(attempt(0, score=0.89, train_progress=0.5), attempt(1, score=0.90, train_progress=float("nan"))) == [
        0,
        1,
    ]


def test_failed_trials_come_last_and_do_not_end_a_ranking():
    failed = Attempt(0, remedy("seed=9"), Trial((), "failed", reason="no"))
    assert order(failed, attempt(1, verdict="stalled", score=0.1)) == [1, 0]


@pytest.mark.parametrize(
    ("sick", "full", "cured"),
    [
        ({}, {}, True),
        ({}, {"score": 0.14}, False),  # hardly above chance
        ({}, {"verdict": "stalled"}, False),
        ({}, {"status": "stopped"}, False),
        ({"score": 0.92}, {"score": 0.95}, False),
        ({"score": 0.96}, {"score": 0.985}, True),  # more than half of what is missing
        ({"status": "diverged", "score": 0.9}, {"score": 0.9}, True),
        ({"score": -2.0}, {"objective": Objective.named("val/loss"), "score": -1.9}, False),
        ({"score": -2.0}, {"objective": Objective.named("val/loss"), "score": -1.7}, True),
        ({"score": -9.0}, {"objective": Objective.named("val/perplexity"), "score": -8.9}, False),
        ({"score": -9.0}, {"objective": Objective.named("val/perplexity"), "score": -8.0}, True),
    ],
)
def test_what_cured_means(sick, full, cured):
    assert is_cured(replace(SICK, **sick), replace(GOOD, **full)) is cured


@pytest.mark.parametrize(
    ("typed", "change", "result"),
    [
        (["act=sigmoid", "model.depth=12"], ["act=elu"], ["model.depth=12", "act=elu"]),
        (["act=leaky_relu", "act.negative_slope=0.3"], ["act=elu"], ["act=elu"]),
        (["act=elu", "act.alpha=2"], ["act=elu", "init=auto"], ["act.alpha=2", "act=elu", "init=auto"]),
        (["init=uniform", "init.low=-1", "init.output=zeros"], ["init=auto"], ["init.output=zeros", "init=auto"]),
        (["init.gain=2"], ["init=auto", "init.gain=1"], ["init=auto", "init.gain=1"]),
        (["model.norm=batch", "model.width=5"], ["model=prenorm"], ["model.width=5", "model=prenorm"]),
        (["clip=norm", "clip.val=1e-3"], ["clip=none"], ["clip=none"]),
        (
            ["optimizer=sgd", "optimizer.momentum=0.9"],
            ["optimizer=adam", "optimizer.lr=0.001"],
            ["optimizer=adam", "optimizer.lr=0.001"],
        ),
        (["trainer.gradient_clip_val=1e-3"], ["clip=none"], ["clip=none"]),
        (["optimizer.lr=3", "+tags=[a]"], ["optimizer.lr=0.1"], ["+tags=[a]", "optimizer.lr=0.1"]),
    ],
)
def test_a_remedy_keeps_what_it_does_not_touch(typed, change, result):
    assert with_remedy(typed, change) == result


@pytest.mark.parametrize(
    ("name", "change", "taken_back"),
    [
        ("iris_leaky", ["act=elu"], ["~act.negative_slope"]),
        ("mse_clip_value", ["clip=none"], ["clip.val=null"]),
        ("vanishing", ["act=elu"], []),
        ("fashion_bn", ["model=prenorm"], ["model.norm_momentum=null"]),  # its norm_position is prenorm's own
        ("fashion_bn_post", ["model=prenorm"], ["model.norm_position=before_linear", "model.norm_momentum=null"]),
    ],
)
def test_what_an_experiment_set_for_the_replaced_option_is_taken_back(name, change, taken_back):
    words = with_remedy([f"experiment={name}"], change)
    assert words == [f"experiment={name}", *change, *taken_back]
    group = change[0].partition("=")[0]
    settings = composed(*words)[group]
    assert settings == {
        **composed(change[0])[group],
        **{k: settings[k] for k in ("hidden", "input_norm", "norm_eps") if k in settings},
    }


@pytest.mark.parametrize(
    "words",
    [
        ["act=elu", "model.depth=12"],
        ["experiment=iris_leaky", "act=elu", "~act.negative_slope"],
        ["experiment=vanishing", "model=bn", "optimizer.lr=1e-4", "data=circles", "tags=[a,b]"],
        ["experiment=selu_100", "model=prenorm", "debug=limit"],
        ["clip=value", "clip.val=0.5", "scheduler=onecycle", "+trainer.inference_mode=false", "~callbacks.summary"],
    ],
)
def test_the_experiment_is_the_config(words, conf):
    (conf / "experiment" / "cured").mkdir()
    (conf / "experiment" / "cured" / "it.yaml").write_text("# @package _global_\n" + experiment(words, conf))
    one, other = (compose(typed, conf).config for typed in (words, ["experiment=cured/it"]))
    one.callbacks.setdefault("summary", None)
    assert OmegaConf.to_container(other) == OmegaConf.to_container(one)


def test_where_files_go_is_no_part_of_an_experiment(conf):
    assert experiment(["act=elu", "paths.logs=/x", "task_name=y"], conf) == experiment(["act=elu"], conf)


def test_names():
    assert name_of(["act=sigmoid", "optimizer.lr=1e-6"]) == "act-sigmoid_optimizer_lr-1e-6"
    assert name_of(["data.root=../../evil"]) == "data_root-evil"
    assert name_of(["experiment=vanishing", "paths.logs=/x"]) == "vanishing"
    assert name_of([]) == "default"
    assert len(name_of([f"tags=[{'x' * 300}]"])) <= 100


def test_another_config_gets_another_file(conf):
    def write(*sick):
        trial = replace(GOOD, overrides=("act=elu",), metrics={"val/acc": {"best": 0.9, "final": 0.9}})
        found = Attempt(0, remedy("act=elu"), trial)
        return write_experiment(CureState(list(sick), SICK), found, "it", conf, conf).stem

    assert [write("act=sigmoid"), write("act=sigmoid"), write("act=tanh"), write("act=tanh")] == [
        "it",
        "it",
        "it_2",
        "it_2",
    ]
    text = (conf / "experiment" / "cured" / "it_2.yaml").read_text()
    assert text.startswith("# @package _global_\n# python src/train.py experiment=cured/it_2\n# Shows ")


def settings(**options) -> RunConfig:
    return RunConfig({"cure": dict(OmegaConf.load(CONF / "cure.yaml").cure) | options, "look": False})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("share", 0, "cure.share: expected a number above 0 and at most 1; got 0"),
        ("least_steps", 0.5, "cure.least_steps: expected an integer of at least 1; got 0.5"),
        ("enough", 2, "cure.enough: expected"),
        ("workers", "many", "cure.workers: expected an integer of at least 1 or one of auto; got 'many'"),
        ("confirmations", 0, "cure.confirmations: expected"),
        ("name", "../evil", "cure.name: expected letters, digits, - and _"),
    ],
)
def test_values_out_of_range(key, value, words):
    CureOptions.checked(settings())
    with pytest.raises(ConfigError, match=words.replace(".", r"\.")):
        CureOptions.checked(settings(**{key: value}))


@pytest.mark.parametrize(("typed", "look", "key"), [(["act=elu", "weights=a"], False, "weights"), ([], True, "look")])
def test_what_has_no_part_in_a_cure(typed, look, key):
    """Neither before a single cure nor in a sweep of cures, where each job asks for itself; debug=table sets `look`."""
    config = replace(settings(), overrides=Overrides(typed)) | {"look": look}
    with pytest.raises(ConfigError, match=f"{key}: has no part in a cure"):
        CureOptions.checked(config)


def test_a_trial_is_the_beginning_of_the_same_training():
    whole, start = run_trial(SMALL), run_trial(SMALL, max_steps=22)
    assert (whole.steps, start.steps, start.steps_planned) == (66, 22, 66)
    assert start.curves["val/loss"] == whole.curves["val/loss"][:1]
    assert start.profiles.items() <= whole.profiles.items()
    assert whole.status == start.status == "completed"


def test_a_trial_validates_at_its_end():
    trial = run_trial([*SMALL, "trainer.check_val_every_n_epoch=3"], max_steps=10)
    assert [step for step, _ in trial.curves["val/acc"]] == [10]
    assert trial.score == trial.best == trial.curves["val/acc"][0][1]


def test_a_trial_that_diverges_and_one_that_cannot_be_built():
    assert run_trial([*SMALL, "optimizer=sgd", "optimizer.lr=1e30"], max_steps=50).status == "diverged"
    trial = run_trial([*SMALL, "act=eluu"])
    assert (trial.status, trial.steps) == ("failed", 0)
    assert trial.reason.startswith("act=eluu: no such option; expected act=elu")


def test_a_trial_in_a_worker_is_the_trial_here():
    configs = [[*SMALL, f"seed={seed}"] for seed in (0, 1)]
    here, there = (run_trials(configs, 10, workers, CONF) for workers in (1, 2))
    assert [trial.metrics for trial in there] == [trial.metrics for trial in here]


def test_the_range_test_finds_a_usual_rate():
    found = range_test(["data=digits", "optimizer=sgd", "optimizer.lr=1e-6"])
    assert 1e-3 < found.lr < 1
    assert found.steps <= 100


def test_a_range_test_that_fails_says_why_and_finds_no_rate(caplog):
    caplog.set_level("INFO")
    found = range_test(["data=digits", "act=eluu"])
    assert (found.lr, found.steps) == (None, 0)
    assert "range test   failed: act=eluu: no such option" in caplog.text


@pytest.mark.parametrize(
    ("trial", "line"),
    [
        (Trial((), "failed", reason="no memory"), "failed (no memory)"),
        (Trial((), "stopped", "stalled", steps=9, seconds=1.23), "stalled, stopped, no metric, 9 steps, 1.2 s"),
        (
            replace(GOOD, metrics={"val/acc": {"best": 0.9, "final": 0.8}}),
            "healthy, best val/acc 0.9, 80 % of the loss gone, 0 steps, 0.0 s",
        ),
        (
            replace(GOOD, train_progress=-0.5, val_progress=float("nan")),
            "healthy, no metric, the loss up by 50 %, 0 steps, 0.0 s",
        ),
    ],
)
def test_a_trial_in_one_line(trial, line):
    assert str(trial) == line


def test_the_content_of_cure_json():
    trial = replace(GOOD, overrides=("act=elu",), steps=80, seconds=2.0)
    state = CureState(["act=sigmoid", "paths.logs=/x"], replace(SICK, steps=160, seconds=4.0), RangeTest(0.1, 90, 3.0))
    state.remedies = [remedy("act=elu"), remedy("model=bn")]
    state.attempts = [Attempt(0, state.remedies[0], trial)]
    state.cured = Attempt(0, state.remedies[0], replace(trial, steps=800, seconds=20.0))
    state.confirmed = [state.cured]
    found = json.loads(json.dumps(content(state, CONF / "experiment/cured/it.yaml", 30.0)))
    assert (found["outcome"], found["overrides"], found["usual_lr"]) == ("cured", ["act=sigmoid"], 0.1)
    tried, larger = found["remedies"]
    assert (tried["overrides"], tried["why"], tried["source"], tried["typed"]) == (
        ["act=elu"],
        "because",
        "someone",
        ["act=elu"],
    )
    assert (tried["effect"]["learnt"], larger["typed"], larger["effect"]) == (0.8, None, None)
    assert (found["cured"], found["confirmed"][0]["effect"]["steps"]) == (["act=elu"], 800)
    assert (found["experiment"], found["command"]) == ("cured/it", "python src/train.py experiment=cured/it")
    assert found["steps"] == {"sick": 160, "range_test": 90, "trials": 80, "confirmation": 800}
    assert found["seconds"] == {"sick": 4.0, "range_test": 3.0, "trials": 2.0, "confirmation": 20.0, "all": 30.0}
    assert found["cost"] == pytest.approx(1130 / 800)


def test_no_rate_where_the_loss_falls_nowhere():
    assert steepest([10.0**-i for i in range(20)], [2.0] * 20) is None


def test_no_range_test_where_the_loss_is_not_finite_before_any_step(monkeypatch):
    monkeypatch.setattr(module, "range_test", lambda overrides, conf: RangeTest(0.5, 100, 1.0))
    settings = composed("optimizer=sgd")

    def first(step):
        state = CureState([], replace(SICK, verdict="non_finite", verdict_step=step))
        module.remedies_for(state, settings, CONF)
        return state.range_test.lr, state.range_test.steps

    assert (first(0), first(20)) == ((None, 0), (0.5, 100))


def test_a_network_of_ones_own_keeps_its_model():
    settings = composed("act=sigmoid")
    state = CureState([], SICK)
    ours = module.remedies_for(state, settings, CONF)
    own = module.remedies_for(CureState([], replace(SICK, decided=("model",))), settings, CONF)
    assert any("model=bn" in remedy.overrides for remedy in ours)
    assert [r.overrides for r in own] == [r.overrides for r in ours if not any("model" in w for w in r.overrides)] != []


def test_numbers_that_are_not_finite_are_null():
    assert effect(Trial((), "diverged"))["learnt"] is None


@pytest.mark.parametrize(
    ("workers", "seconds", "steps", "count"),
    [("auto", 1.0, 100, 1), ("auto", 100.0, 100, 3), ("auto", 2.0, 1, 1), (2, 1.0, 100, 2), (9, 1.0, 100, 3)],
)
def test_workers_start_where_they_save_time(workers, seconds, steps, count, monkeypatch):
    monkeypatch.setattr("joblib.cpu_count", lambda: 4)
    state = CureState([], replace(SICK, seconds=seconds, steps=steps), remedies=[remedy("seed=1")] * 3)
    assert count_workers(workers, state, 100) == count


@pytest.fixture
def squeezed(conf):
    """The diagnosed sick run of a small net, and the configs."""
    sick = run_trial(SQUEEZED, conf=conf)
    assert (sick.status, sick.verdict) == ("stopped", "vanishing")
    return CureState(list(SQUEEZED), sick), conf


def test_the_smallest_change_that_does_is_taken(squeezed):
    state, conf = squeezed
    state.remedies = [remedy("act=tanh"), remedy("act=nonsense"), remedy("init.gain=1"), remedy("model=bn")]
    search(state, replace(OPTIONS, enough=0.4), conf)
    assert [t.trial.status for t in state.attempts] == ["completed", "failed", "completed"]  # no larger change is tried
    assert [t.trial.verdict for t in state.attempts] == ["vanishing", None, "healthy"]
    assert str(state.cured) == "init.gain=1"
    assert state.steps == {"sick": state.sick.steps, "range_test": 0, "trials": 60, "confirmation": 66}
    assert state.cost == pytest.approx((state.sick.steps + 60 + 66) / 66)


def test_all_are_tried_where_nothing_is_enough(squeezed):
    state, conf = squeezed
    state.remedies = [remedy("init.gain=1"), remedy("init.gain=1", "act=elu")]
    search(state, replace(OPTIONS, enough=None), conf)
    assert len(state.attempts) == 2
    assert state.cured is not None


def test_the_next_best_is_confirmed_where_the_best_is_not_cured(squeezed, monkeypatch):
    state, conf = squeezed
    state.remedies = [remedy("init.gain=1"), remedy("act=elu", "init.gain=1"), remedy("model=bn", "init.gain=1")]
    monkeypatch.setattr("gradvitals.app.cure.search.is_cured", lambda sick, full: len(state.confirmed) > 1)
    search(state, OPTIONS, conf)
    assert [t.index for t in state.confirmed] == order(*state.attempts)[:2]
    assert [t.trial.steps for t in state.confirmed] == [66, 66]
    assert state.cured is state.confirmed[1]


def test_nothing_helps(squeezed):
    state, conf = squeezed
    state.remedies = [remedy("seed=1"), remedy("seed=3"), remedy("seed=2")]
    search(state, OPTIONS, conf)
    assert state.cured is None
    assert len(state.confirmed) == OPTIONS.confirmations
    assert len(state.attempts) == 3


def test_a_trial_of_full_length_is_its_own_confirmation(squeezed):
    state, conf = squeezed
    state.remedies = [remedy("init.gain=1")]
    search(state, replace(OPTIONS, share=1.0), conf)
    assert state.cured is state.attempts[0]
    assert state.steps["confirmation"] == 0


STUB = """
import gradvitals.app.cure.cure as app
from gradvitals.diagnosis.remedies import Remedy
app.prescribe = lambda verdict, net: [Remedy(("seed=7",), "luck", "nobody")]
"""


def test_the_command_line_where_nothing_helps(cure_command, tmp_path):
    script = tmp_path / "src" / "cure.py"
    script.write_text(script.read_text().replace("\n\nif __name__", f"\n{STUB}\n\nif __name__"))
    done = cure_command("cure.py", *SQUEEZED, "cure.least_steps=20")
    assert done.returncode == 3, done.stderr
    assert "not cured    none of 1 remedies helped enough: seed=7" in done.stdout
    (run_dir,) = (tmp_path / "logs/cure/runs").iterdir()
    found = json.loads((run_dir / "cure.json").read_text())
    assert (found["outcome"], found["experiment"], found["cured"]) == ("not cured", None, None)
    assert found["remedies"][0]["effect"]["verdict"] == "vanishing"
    assert "<title>Not cured</title>" in (run_dir / "cure.html").read_text()
    assert not (run_dir / "cured.yaml").exists()
    assert not (tmp_path / "conf/experiment/cured").exists()


def test_the_command_line_cures_and_the_experiment_trains(cure_command, tmp_path):
    done = cure_command("cure.py", *SQUEEZED, "cure.least_steps=20", "cure.name=it")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "type         python src/train.py experiment=cured/it" in done.stdout
    (run_dir,) = (tmp_path / "logs/cure/runs").iterdir()
    found = json.loads((run_dir / "cure.json").read_text())
    assert (found["outcome"], found["verdict"], found["overrides"]) == ("cured", "vanishing", SQUEEZED)
    assert found["cost"] == pytest.approx(sum(found["steps"].values()) / 66)
    assert (run_dir / "cure.png").read_bytes().startswith(b"\x89PNG")
    assert f"<title>Cured by {' '.join(found['cured'])}</title>" in (run_dir / "cure.html").read_text()
    written = tmp_path / "conf/experiment/cured/it.yaml"
    assert (run_dir / "cured.yaml").read_text() == written.read_text()
    assert "experiment   conf/experiment/cured/it.yaml, which git ignores" in done.stdout
    done = cure_command("train.py", *found["command"].split()[2:])
    assert done.returncode == 0, done.stderr
    (run_dir,) = (tmp_path / "logs/train/runs").iterdir()
    result = json.loads((run_dir / "result.json").read_text())
    full = found["confirmed"][-1]["effect"]
    assert (result["verdict"], result["steps"]) == ("healthy", 66)
    assert result["metrics"]["val/acc"]["best"] == pytest.approx(full["best"])


@pytest.fixture
def finished(conf, tmp_path, monkeypatch, caplog):
    """Cures a run with a given verdict without training: the exit code, what was logged, and cure.json."""

    def cured(trial, *overrides):
        settings = composed(*overrides) | {"cure": asdict(OPTIONS)}
        job = Job(tmp_path, settings.overrides)
        monkeypatch.setattr(module.Job, "current", lambda: job)
        monkeypatch.setattr(module.Job, "config", lambda self, config: settings)
        monkeypatch.setattr(module, "composed_folder", lambda: conf)
        monkeypatch.setattr(module, "run_trial", lambda overrides, conf: trial)
        caplog.set_level("INFO")
        with pytest.raises(SystemExit) as ending:
            module.cure(None)
        return ending.value.code, caplog.text, json.loads((tmp_path / "cure.json").read_text())

    return cured


def test_an_undecided_run_is_told_what_decides_it(finished):
    trial = replace(GOOD, verdict="undecided", evidence="undecided: fewer than 50 steps", steps=40)
    code, said, found = finished(trial, "act=elu", "trainer.max_epochs=1")
    assert code == 3
    assert "undecided    fewer than 50 steps" in said
    command = "python src/cure.py act=elu trainer.max_epochs=13"
    assert f"type         {command}" in said
    assert (found["outcome"], found["severity"], found["command"]) == ("undecided", None, command)


@pytest.mark.parametrize("verdict", ["no_update", "replicas", "head", "not_learning"])
def test_what_only_code_mends_is_told_with_its_advice(finished, verdict):
    code, said, found = finished(replace(SICK, verdict=verdict, evidence="x", advice="Pass self.parameters()."))
    assert code == 3
    assert "not cured    no config mends it: Pass self.parameters()." in said
    assert (found["outcome"], found["remedies"], found["advice"]) == ("not cured", [], "Pass self.parameters().")


def test_a_loss_of_the_config_is_a_remedy_of_the_head():
    settings, state = composed("loss=mse"), CureState(["loss=mse"], replace(SICK, verdict="head"))
    (found,) = module.remedies_for(state, settings, CONF)
    assert with_remedy(state.overrides, found.overrides, CONF) == ["loss=auto"]


def test_trials_too_short_for_a_verdict_come_before_sick_ones():
    assert order(attempt(0, verdict="stalled", score=0.95), attempt(1, verdict="undecided", score=0.5)) == [1, 0]
    assert not is_cured(SICK, replace(GOOD, verdict="undecided"))


def test_a_validation_loss_that_is_not_finite_is_a_cause_whatever_the_outcome():
    for verdict in ("healthy", "undecided", "not_learning"):
        assert module._diagnosed(replace(GOOD, status="diverged", verdict=verdict)).verdict == "non_finite"


def test_a_healthy_net_needs_no_cure(warm_command):
    done = warm_command(*SMALL, script="cure.py")
    assert done.returncode == 0
    assert "nothing to cure" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cure.share=2"], "cure.share: expected a number above 0 and at most 1; got 2"),
        (["act=leaky_relu", "act.negative_slope=x"], "act.negative_slope: expected a number; got 'x'"),
        (["loss=nonsense"], "loss: a multiclass task has auto, ce, bce, mse, mean; got 'nonsense'"),
        (["monitor=off"], "monitor=off: expected a monitor"),
        (["trainer=ddp_cpu"], "trainer.devices: a cure trains in one process each; expected 1; got 2"),
        (["weights=x"], "weights: has no part in a cure"),
    ],
)
def test_what_is_refused_leaves_no_directory(warm_command, tmp_path, words, message):
    done = warm_command(*words, script="cure.py")
    assert done.returncode == 1
    assert message in done.stderr
    assert not list((tmp_path / "logs").rglob("cure.log"))
    assert not list((tmp_path / "logs").glob("cure/runs/*"))


def test_the_folder_of_experiments_need_not_be_there(tmp_path):
    (tmp_path / "conf").mkdir()
    module._check_settings({"monitor": {"_target_": "a.Monitor"}, "trainer": {}}, tmp_path / "conf")


def test_a_folder_that_cannot_be_written_is_told_before_training(cure_command, tmp_path):
    (tmp_path / "conf/experiment/cured").write_text("a file where the folder belongs")
    done = cure_command("cure.py", *SMALL)
    assert done.returncode == 1
    assert "conf/experiment/cured: expected a folder that can be written" in done.stderr


@pytest.mark.slow
def test_the_vanishing_sigmoid_net_is_cured(cure_command, tmp_path):
    done = cure_command("cure.py", "act=sigmoid", "model.depth=12", "cure.workers=2")
    assert done.returncode == 0, done.stdout + done.stderr
    (run_dir,) = (tmp_path / "logs/cure/runs").iterdir()
    found = json.loads((run_dir / "cure.json").read_text())
    assert found["verdict"] == "vanishing"
    assert found["sick"]["best"] < 0.15
    assert found["confirmed"][-1]["effect"]["best"] > 0.9
    assert found["cost"] < 2
    assert (tmp_path / "conf/experiment/cured/act-sigmoid_model_depth-12.yaml").is_file()
