"""The monitor in a loop of one's own: the same numbers as Lightning's, whatever the loop does, and no harm to it."""

import copy
import gc
import io
import math
import subprocess
import sys
import threading
import weakref
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from lightning import LightningModule
from torch import nn
from torch.overrides import _get_current_function_mode_stack as stack_of_modes
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader

import gradvitals
from gradvitals import GradientVitals, watch
from tests.callbacks.trainer import bare_trainer
from tests.integrations.same_training import SETTINGS, Training, adam, batches, network

EXACT = {"rel": 1e-6, "abs": 1e-12, "nan_ok": True}


def sgd(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)


def lbfgs(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.LBFGS(net.parameters(), lr=0.1, max_iter=3)


def fused(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(net.parameters(), lr=0.01, fused=True)


TRAININGS = {
    "plain": Training(),
    "clip by norm": Training(clip=0.1),
    "clip by a norm that is never reached": Training(clip=1e6),
    "clip by value": Training(clip=-0.01, optimizer=sgd),
    "accumulate": Training(accumulate=3),
    "accumulate and clip": Training(clip=0.1, accumulate=3),
    "scaler": Training(scale=2.0**10),
    "scaler and clip": Training(scale=2.0**10, clip=0.1),
    "scaler that skips steps": Training(scale=2.0**25),
    "scaler that skips steps, and clip": Training(scale=2.0**25, clip=0.1),
    "scaler and fused optimizer": Training(scale=2.0**10, optimizer=fused),
}


@pytest.mark.parametrize("training", TRAININGS.values(), ids=TRAININGS)
def test_a_plain_loop_has_the_numbers_of_lightning(training):
    theirs, ours = training.by_lightning(), training.by_hand()
    assert ours.end == pytest.approx(theirs.end, **EXACT)
    assert ours.start == pytest.approx(theirs.start, **EXACT)
    assert ours.measured_steps == theirs.measured_steps
    assert list(ours.profiles) == list(theirs.profiles)
    assert ours.diagnosis == theirs.diagnosis
    assert ours.preflight == theirs.preflight
    assert ours.clipped_fraction == theirs.clipped_fraction


def train(net, optimizer, vitals, steps=12, clip=None, forward=None):
    """The loop of docs/guides/any_loop.md; ``forward`` is called in place of the network itself."""
    for _, (x, y) in zip(range(steps), batches(), strict=False):
        loss = F.cross_entropy((forward or net)(x), y)
        optimizer.zero_grad()
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()
        vitals.log(loss)
    return vitals


def closure(net, optimizer, x, y):
    """What L-BFGS calls several times in a step."""

    def loss():
        optimizer.zero_grad()
        value = F.cross_entropy(net(x), y)
        value.backward()
        return value

    return loss


def watched(net: nn.Module):
    optimizer = adam(net)
    return train(net, optimizer, watch(net, optimizer, every_n_steps=1))


def hooks(net: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in net.modules())


def weights(net: nn.Module) -> list:
    return [p.tolist() for p in net.parameters()]


def test_the_gradient_before_and_after_clipping_by_hand():
    net = nn.Linear(2, 1, bias=False)
    net.weight.data[:] = torch.tensor([[1.0, 1.0]])
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    with watch(net, optimizer, every_n_steps=1) as vitals:
        net(torch.tensor([[3.0, 4.0]])).sum().backward()  # the gradient is (3, 4)
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        vitals.log(None)
    assert vitals.end["grad_norm/total"] == pytest.approx(5.0)
    assert vitals.end["grad_norm_clipped/total"] == pytest.approx(1.0, rel=1e-5)
    assert vitals.end["clip/coefficient"] == pytest.approx(0.2, rel=1e-5)
    assert vitals.end["update_ratio/00."] == pytest.approx(1 / math.sqrt(2), rel=1e-5)


def in_a_thread(loss):
    thread = threading.Thread(target=loss.backward)
    thread.start()
    thread.join()


@pytest.mark.parametrize("is_checkpointed", [False, True])
@pytest.mark.parametrize("backward", [lambda loss: torch.autograd.backward([loss]), in_a_thread])
def test_the_gradient_before_clipping_however_backward_is_called(backward, is_checkpointed):
    def fit(backward):
        net = network()
        optimizer = sgd(net)
        with watch(net, optimizer, every_n_steps=1) as vitals:
            for x, y in batches():
                h = net[:4](x)
                h = checkpoint(net[4:], h, use_reentrant=True) if is_checkpointed else net[4:](h)
                loss = F.cross_entropy(h, y)
                optimizer.zero_grad()
                backward(loss)
                torch.nn.utils.clip_grad_norm_(net.parameters(), 0.1)
                optimizer.step()
                vitals.log(loss)
        return vitals.end

    known = fit(torch.Tensor.backward)
    assert known["grad_norm/total"] > 0.11 > known["grad_norm_clipped/total"]
    assert fit(backward) == pytest.approx(known, **EXACT)


def test_without_clipping_there_is_no_number_of_it():
    net = network()
    optimizer = adam(net)
    vitals = train(net, optimizer, watch(net, optimizer, every_n_steps=1))
    assert not [tag for tag in vitals.end if "clip" in tag]


@pytest.mark.parametrize("make", [adam, sgd, lbfgs])
def test_the_training_is_bit_for_bit_the_same(make):
    trained = []
    for is_watched in (True, False):
        net = network()
        optimizer = make(net)
        with watch(net, optimizer, every_n_steps=2) if is_watched else nullcontext() as vitals:
            for x, y in batches():
                loss = optimizer.step(closure(net, optimizer, x, y))
                if vitals:
                    vitals.log(loss)
        trained.append(weights(net))
    assert trained[0] == trained[1]


def test_the_steps_of_closures_are_measured_once():
    net = network()
    optimizer = lbfgs(net)
    with watch(net, optimizer, every_n_steps=4, first_steps=0) as vitals:
        for x, y in batches():
            vitals.log(optimizer.step(closure(net, optimizer, x, y)))
    assert list(vitals.profiles) == [0, 4, 8]
    # L-BFGS begins with the gradient at the weights before the step.
    reference, (x, y) = network(), batches()[0]
    F.cross_entropy(reference(x), y).backward()
    total = math.hypot(*(p.grad.norm().item() for p in reference.parameters()))
    assert vitals.start["grad_norm/total"] == pytest.approx(total, rel=1e-6)


def test_validation_between_steps_is_not_seen():
    def fit(validates):
        net = network()
        optimizer = adam(net)
        vitals = watch(net, optimizer, every_n_steps=1)
        for x, y in batches():
            train(net, optimizer, vitals, steps=0)
            if validates:
                net.eval()
                net(100 * x)  # with gradients enabled, as beginners write it
                with torch.no_grad():
                    net(100 * x)
                net.train()
            loss = F.cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            vitals.log(loss)
        return vitals.end

    assert fit(True) == fit(False)


def test_a_network_that_trains_in_evaluation_mode():
    net = network().eval()
    vitals = watched(net)
    assert list(vitals.profiles) == list(range(1, 12))  # the first step shows that it does


class Players(nn.Module):
    """A generator and a discriminator, without a forward pass of both."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.g, self.d = nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))

    def optimizers_of_both(self):
        return [torch.optim.Adam(self.d.parameters(), lr=0.01), torch.optim.Adam(self.g.parameters(), lr=0.01)]

    def losses(self, x):
        """Of each player in its turn."""
        yield F.softplus(self.d(self.g(x).detach())).mean() + F.softplus(-self.d(x)).mean()
        yield F.softplus(-self.d(self.g(x))).mean()


class Adversaries(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization, self.both = False, Players()

    def configure_optimizers(self):
        return self.both.optimizers_of_both()

    def training_step(self, batch, batch_idx):
        for loss, optimizer in zip(self.both.losses(batch[0]), self.optimizers(), strict=True):
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()


def test_two_optimizers_have_the_numbers_of_lightning():
    theirs = GradientVitals(**SETTINGS)
    trainer = bare_trainer(theirs, max_epochs=1)
    trainer.fit(Adversaries(), DataLoader(batches(), batch_size=None))
    both = Players()
    optimizers = both.optimizers_of_both()
    with watch(both, optimizers, total_steps=24, **SETTINGS) as ours:
        for x, _ in batches():
            for loss, optimizer in zip(both.losses(x), optimizers, strict=True):
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            ours.log(None)
    for known, found in ((theirs.start, ours.start), (theirs.end, ours.end)):
        assert found == pytest.approx({tag.replace("both.", ""): value for tag, value in known.items()}, **EXACT)


def test_parts_of_the_network_are_called():
    class Parts(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.head = nn.Linear(4, 8), nn.Linear(8, 3)

        def encode(self, x):
            return self.head(self.encoder(x).relu())

    net = Parts()
    optimizer = adam(net)
    with watch(net, optimizer, every_n_steps=1) as vitals:
        train(net, optimizer, vitals, forward=net.encode)
    assert list(vitals.profiles) == list(range(12))
    assert [layer.label for layer in vitals.layers] == ["00.encoder", "01.head"]
    assert hooks(net) == 0


def test_a_network_that_is_called_by_another_name():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, x):
            raise NotImplementedError

        def score(self, x):
            return self.net(x)

    net = Named()
    optimizer = adam(net)
    with watch(net, optimizer, every_n_steps=1) as vitals:
        train(net, optimizer, vitals, forward=net.score)
    assert list(vitals.profiles) == list(range(1, 12))  # the first step shows it
    assert hooks(net) == 0


def test_parameters_that_are_added_later_are_measured():
    net = network()
    optimizer = adam(net)
    vitals = train(net, optimizer, watch(net, optimizer, every_n_steps=1), steps=3)
    net.append(nn.Tanh()).append(nn.Linear(3, 3))
    optimizer.add_param_group({"params": net[-1].parameters()})
    train(net, optimizer, vitals)
    assert vitals.layers[-1].name == "7"
    assert vitals.end["grad_norm/03.7"] > 0


def test_steps_that_are_left_out_are_no_steps():
    net = network()
    optimizer = adam(net)
    vitals = watch(net, optimizer, every_n_steps=1)
    for index, (x, y) in enumerate(batches()):
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        if index % 2:
            optimizer.step()
        optimizer.zero_grad()
        vitals.log(loss)
    assert list(vitals.profiles) == list(range(6))


def test_a_loop_that_never_logs_is_measured_without_its_losses():
    net = network()
    optimizer = adam(net)
    vitals = watch(net, optimizer, every_n_steps=1)
    for x, y in batches():
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    vitals.close()
    assert list(vitals.profiles) == list(range(12))
    assert hooks(net) == 0


def test_a_backward_pass_that_nobody_sees_leaves_no_hook_behind():
    def hooks_after_a_step(backward) -> int:
        net, (x, y) = network(), batches()[0]
        optimizer = adam(net)
        with watch(net, optimizer, first_steps=1) as vitals:
            loss = F.cross_entropy(net(x), y)
            backward(loss)
            optimizer.step()
            vitals.log(loss)
            assert vitals.end["grad_norm/total"] > 0
            return hooks(net)

    assert hooks_after_a_step(torch.autograd.backward) == hooks_after_a_step(torch.Tensor.backward)


def test_gradients_taken_away_after_backward():
    """As DINO does with its last layer in the first epoch."""
    net = network()
    optimizer = adam(net)
    with watch(net, optimizer, every_n_steps=1) as vitals:
        for x, y in batches():
            loss = F.cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            net[-1].weight.grad = None
            optimizer.step()
            vitals.log(loss)
    assert vitals.end["grad_norm/02.5"] > 0
    assert vitals.end["grad_norm_clipped/02.5"] == 0


# What people do to models between steps


def test_a_copy_and_a_saved_model_are_not_watched():
    net = network()
    optimizer = adam(net)
    with watch(net, optimizer, every_n_steps=1) as vitals:
        train(net, optimizer, vitals, steps=3)
        twin, file = copy.deepcopy(net), io.BytesIO()
        torch.save(net, file)
        file.seek(0)
        loaded = torch.load(file, weights_only=False)
        for other in (twin, loaded):
            other(batches()[0][0]).sum().backward()
        train(net, optimizer, vitals, steps=3)
    assert len(vitals.profiles) == 6
    assert weights(twin) == weights(loaded)


def test_an_error_in_the_loop_leaves_no_hook_behind():
    net, modes = network(), stack_of_modes()
    optimizer = adam(net)

    def fails():
        with watch(net, optimizer, every_n_steps=1) as vitals:
            train(net, optimizer, vitals, steps=2)
            net(batches()[0][0])
            1 / 0

    with pytest.raises(ZeroDivisionError):
        fails()
    assert hooks(net) == 0
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    assert stack_of_modes() == modes


def test_an_error_within_forward_too():
    net, modes = network(), stack_of_modes()
    with pytest.raises(RuntimeError), watch(net, adam(net), every_n_steps=1):
        net(torch.zeros(2, 5))
    assert hooks(net) == 0
    assert stack_of_modes() == modes


class SeenSGD(torch.optim.SGD):
    """Counts the function modes of torch that would see the operations of each step."""

    def step(self, closure=None):
        self.modes = [*getattr(self, "modes", ()), len(stack_of_modes())]
        return super().step(closure)


def test_no_mode_sees_the_operations_of_a_step():
    """Each would cost a call of Python, hundreds in a step of Adam."""
    net, modes = network(), len(stack_of_modes())
    optimizer = SeenSGD(net.parameters(), lr=0.1)
    with watch(net, optimizer, every_n_steps=1) as vitals:
        train(net, optimizer, vitals, steps=3)
    assert optimizer.modes == [modes] * 3
    assert len(vitals.history.of("grad_norm")) == 3


def test_it_goes_with_the_model():
    net = network()
    vitals = watched(net)
    known = [weakref.ref(net), weakref.ref(vitals)]
    del net, vitals
    gc.collect()
    assert [ref() for ref in known] == [None, None]


def test_a_loop_that_was_broken_off_leaves_nothing_behind_once_it_is_forgotten():
    """As where a cell of a notebook was interrupted."""
    modes, everywhere = stack_of_modes(), dict(torch.nn.modules.module._global_forward_pre_hooks)
    net = network()
    vitals = watch(net, adam(net), every_n_steps=1)
    net(batches()[0][0])
    assert len(stack_of_modes()) > len(modes)
    del vitals, net
    gc.collect()
    assert stack_of_modes() == modes
    assert torch.nn.modules.module._global_forward_pre_hooks == everywhere


def test_a_loop_resumes_from_a_checkpoint():
    net = network()
    optimizer = adam(net)
    straight = train(net, optimizer, watch(net, optimizer, every_n_steps=2))
    net = network()
    optimizer = adam(net)
    begun = train(net, optimizer, watch(net, optimizer, every_n_steps=2), steps=6)
    file = io.BytesIO()
    torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "vitals": begun.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file)
    net = network()
    optimizer = adam(net)
    net.load_state_dict(saved["net"])
    optimizer.load_state_dict(saved["optimizer"])
    resumed = watch(net, optimizer, every_n_steps=2)
    resumed.load_state_dict(saved["vitals"])
    for x, y in batches()[6:]:
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        resumed.log(loss)
    assert resumed.end == pytest.approx(straight.end, **EXACT)
    assert list(resumed.profiles) == list(straight.profiles)


# Bad input: one line, and training continues


def one_line(caplog) -> str:
    assert len(caplog.records) == 1, caplog.messages
    assert "\n" not in caplog.messages[0]
    return caplog.messages[0]


def test_a_model_without_parameters(caplog):
    net = nn.Sequential(nn.Flatten())
    other = nn.Linear(4, 3)
    vitals = watch(net, adam(other))
    assert "no parameters" in one_line(caplog)
    for x, y in batches():
        F.cross_entropy(other(net(x)), y).backward()
        vitals.log(torch.zeros(()))
    vitals.close()


def test_an_optimizer_of_another_model(caplog):
    net, other = network(), network()
    optimizer = adam(other)
    train(net, optimizer, watch(net, optimizer, every_n_steps=1)).close()
    assert "none of the parameters" in caplog.messages[0]
    assert len(caplog.messages) <= 2  # the second is the verdict


@pytest.mark.parametrize("loss", [torch.zeros(3), "0.5", [1.0], {"loss": 1.0}])
def test_a_loss_that_is_no_number(loss, caplog):
    net = network()
    vitals = watch(net, adam(net), every_n_steps=1)
    for x, y in batches():
        F.cross_entropy(net(x), y).backward()
        vitals.log(loss)
    vitals.close()
    assert "expected a loss of one number" in caplog.messages[0]
    assert len(caplog.messages) <= 2  # the second is the verdict


def test_two_watches_of_one_model(caplog):
    net = network()
    optimizer = adam(net)
    first = watch(net, optimizer, every_n_steps=1)
    train(net, optimizer, first, steps=2)
    second = watch(net, optimizer, every_n_steps=1)
    assert "is watched already" in one_line(caplog)
    train(net, optimizer, second, steps=3)
    assert (len(first.profiles), len(second.profiles)) == (2, 3)
    first.log(torch.zeros(()))
    second.close()
    assert hooks(net) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda net, optimizer: (optimizer, net), "expected a torch.nn.Module and its optimizer; got Adam"),
        (lambda net, optimizer: (net, net), "expected an optimizer of torch, or a list of them; got Sequential"),
        (lambda net, optimizer: (net, []), "expected an optimizer of torch, or a list of them; got list"),
        (lambda net, optimizer: (net, [optimizer, 1]), "got int"),
    ],
)
def test_other_arguments_are_refused(arguments, message):
    net = network()
    with pytest.raises(TypeError, match=message):
        watch(*arguments(net, adam(net)))


def test_the_package_offers_it():
    assert gradvitals.watch is watch
    net = network()
    with watch(net, adam(net)) as vitals:
        assert isinstance(vitals, gradvitals.Vitals)


def test_labels_of_one_class_are_read_from_the_loss():
    net = network()
    optimizer = adam(net)
    vitals = watch(net, optimizer, every_n_steps=1)
    for _ in range(60):
        loss = F.cross_entropy(net(torch.randn(20, 4)), torch.zeros(20, dtype=torch.long))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        vitals.log(loss)
    vitals.close()
    assert "all labels seen so far are the same" in str(vitals.diagnosis)


def test_a_mode_of_the_user_around_the_forward_pass_is_left_when_they_leave_it():
    from torch.overrides import TorchFunctionMode

    class Mine(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            return func(*args, **(kwargs or {}))

    net, modes = network(), stack_of_modes()
    optimizer = adam(net)
    with watch(net, optimizer, every_n_steps=1) as vitals:
        for x, y in batches():
            with Mine():
                out = net(x)
            loss = F.cross_entropy(out, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            vitals.log(loss)
    assert stack_of_modes() == modes
    assert len(vitals.profiles) > 0


# What a network or a user does that the watch must neither hinder nor change


class ChangesItsInput(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        x -= x.mean(0)
        return self.layer(x)


def test_a_network_that_changes_its_input_in_place_trains_as_without_watch():
    trained, inputs = [], []
    for is_watched in (True, False):
        net = ChangesItsInput()
        optimizer = adam(net)
        with watch(net, optimizer, every_n_steps=2) if is_watched else nullcontext():
            for x, _ in batches():
                loss = F.mse_loss(net(x), x)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                inputs.append(x)
        trained.append(weights(net))
    assert trained[0] == trained[1]
    assert all(map(torch.equal, inputs[:12], inputs[12:]))


def test_a_lazy_network_whose_steps_are_guarded(caplog):
    net = nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.Tanh(), nn.LazyLinear(3))
    optimizer = adam(net)
    vitals = watch(net, optimizer, every_n_steps=1, on_non_finite="skip")
    kept = []
    for step, (x, y) in enumerate(batches()):
        loss = F.cross_entropy(net(x if step != 5 else x * math.nan), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        vitals.log(loss)
        kept.append(net[1].running_mean.clone())
    assert vitals.skipped_steps == 1
    assert torch.equal(kept[5], kept[4])
    assert not [message for message in caplog.messages if "failed" in message]


def test_a_scripted_network_is_refused():
    with pytest.warns(FutureWarning, match="deprecated"):
        net = torch.jit.script(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)))
    with pytest.raises(TypeError, match="got a ScriptModule"):
        watch(net, adam(net))


@pytest.mark.parametrize("state", [{}, None, {"net": 1}])
def test_a_state_of_something_else_is_refused(state):
    net = network()
    vitals = watch(net, adam(net))
    with pytest.raises(ValueError, match=r"expected what vitals.state_dict\(\) returned; got"):
        vitals.load_state_dict(state)


def test_it_needs_no_support_of_several_processes():
    """torch can be built without it; the module of process groups cannot be imported then."""
    without = "import sys, torch; sys.modules['torch.distributed.distributed_c10d'] = None"
    call = [sys.executable, "-c", f"{without}; from gradvitals.integrations.watch import watch"]
    done = subprocess.run(call, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
