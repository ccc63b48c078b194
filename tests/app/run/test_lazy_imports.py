"""What a run hardly ever uses is not imported, and is there for whoever uses it later."""

import os
import subprocess
import sys
from pathlib import Path

from gradvitals.app.run.lazy_imports import defer_imports

SRC = Path(__file__).parents[3] / "src"
HEAVY = (
    "('torch._dynamo', 'torchvision', 'triton', 'scipy.signal', 'scipy.stats', 'scipy.optimize', 'scipy.interpolate', "
    "'scipy.integrate', 'pandas')"
)


def python(code: str, lazy: str = "1") -> str:
    """What a fresh interpreter prints."""
    call, env = [sys.executable, "-c", code], os.environ | {"GRADVITALS_LAZY": lazy}
    done = subprocess.run(call, cwd=SRC, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_whole_run_imports_none_of_it(tmp_path):
    code = f"""
import sys, runpy
sys.argv = ["train.py", "trainer.max_epochs=1", "hydra.run.dir={tmp_path}/run"]
runpy.run_path("train.py", run_name="__main__")
print("imported:", [name for name in {HEAVY} if name in sys.modules])
"""
    assert "imported: []" in python(code)


def test_stand_ins_become_the_real_thing_at_their_first_use():
    code = """
from gradvitals.app.run.lazy_imports import import_lightning
import_lightning()
import sys, torch
from torchmetrics.functional.audio import permutation_invariant_training, signal_noise_ratio
from torchmetrics.functional.detection import intersection_over_union
assert "torchvision" not in sys.modules and "scipy.optimize" not in sys.modules
boxes = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 1, 3, 3]])
print(round(intersection_over_union(*boxes).item(), 4))  # 1 of 4 + 4 - 1
speech = torch.randn(1, 3, 50)
_, order = permutation_invariant_training(speech, speech[:, [2, 0, 1]], signal_noise_ratio, eval_func="max")
print(order.tolist())
import torchvision, scipy.signal
print(type(torchvision).__name__, callable(scipy.signal.resample), torchvision.__version__[:2])
"""
    assert python(code).splitlines() == ["0.1429", "[[2, 0, 1]]", "module True 0."]


def test_nothing_is_an_instance_of_a_class_that_was_never_imported():
    code = """
from gradvitals.app.run.lazy_imports import import_lightning
import_lightning()
import sys, torch
from lightning.fabric import wrappers
net = torch.nn.Linear(2, 2)
print(isinstance(net, wrappers.OptimizedModule), "torch._dynamo" in sys.modules)
print(isinstance(torch.compile(net, backend="eager"), wrappers.OptimizedModule))
"""
    assert python(code).splitlines() == ["False False", "True"]


def test_asking_whether_something_is_an_instance_does_not_end_the_deferral():
    code = """
from gradvitals.app.run.lazy_imports import defer_imports
import sys
with defer_imports(["wave"]):
    from wave import Error
    asked = isinstance(ValueError(), Error)
print(asked, "wave" in sys.modules, isinstance(ValueError(), Error))
import wave
print(isinstance(wave.Error(), Error))
"""
    assert python(code).splitlines() == ["False False False", "True"]


STEPS = """
import torch
def weights(compiled):
    torch.manual_seed(0)
    net = torch.nn.Linear(4, 3)
    net.compile(backend="eager") if compiled else None
    for kind in (torch.optim.Adam, torch.optim.SGD, torch.optim.LBFGS):
        optimizer = kind(net.parameters(), lr=0.1)
        for _ in range(3):
            def closure():
                optimizer.zero_grad()
                loss = net(torch.ones(2, 4)).square().mean()
                loss.backward()
                return loss
            optimizer.step(closure)
    optimizer.load_state_dict(optimizer.state_dict())
    return net.weight.detach()
"""


def test_optimizers_do_the_same_with_and_without_the_compiler():
    code = f"""
from gradvitals.app.run.lazy_imports import import_lightning
import_lightning()
import sys
{STEPS}
before = weights(False)
assert "torch._dynamo" not in sys.modules
assert torch.is_grad_enabled()
compiled = weights(True)
assert "torch._dynamo" in sys.modules
print(torch.equal(before, weights(False)), torch.allclose(before, compiled))
print(before.double().sum().item())
"""
    equal, total = python(code).splitlines()
    assert equal == "True True"
    assert total == python(STEPS + "print(weights(False).double().sum().item())").strip()  # torch alone


def test_an_optimizer_inside_a_compiled_function_is_still_kept_from_the_compiler():
    code = """
from gradvitals.app.run.lazy_imports import import_lightning
import_lightning()
import torch
weight = torch.nn.Parameter(torch.ones(2))
optimizer = torch.optim.SGD([weight], lr=0.5)
@torch.compile(backend="eager")
def step():
    weight.square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()
step()
print(weight.tolist(), weight.grad)
"""
    assert python(code).strip() == "[0.0, 0.0] None"


def test_what_uses_a_name_while_it_is_imported_gets_the_real_one(tmp_path):
    (tmp_path / "wants.py").write_text(
        "from colorsys import *\nimport colorsys\nBLACK = colorsys.rgb_to_hls(0, 0, 0)\n"
    )
    (tmp_path / "inherits.py").write_text("from fractions import Fraction\nclass Half(Fraction): pass\n")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from gradvitals.app.run.lazy_imports import defer_imports
before = list(sys.meta_path)
with defer_imports(["colorsys", "fractions"]):
    import wants, inherits
print(wants.BLACK, inherits.Half.__mro__[1].__name__, isinstance(inherits.Half(1), inherits.Fraction))
print(sys.meta_path == before, type(sys.modules["colorsys"]).__name__)
"""
    assert python(code).splitlines() == ["(0.0, 0.0, 0.0) Fraction True", "True module"]


def test_the_switch_turns_all_of_it_off():
    code = f"""
import gc, sys, torch
from gradvitals.app.run.lazy_imports import defer_imports, import_lightning
untouched = torch.optim.SGD.step, torch.compiler.disable
with defer_imports(["colorsys"]):
    import colorsys
import_lightning()
import lightning
print(type(colorsys).__name__, "torch._dynamo" in sys.modules, gc.get_freeze_count())
print((torch.optim.SGD.step, torch.compiler.disable) == untouched)
{STEPS}
print(weights(False).double().sum().item())
"""
    (kind, compiler, frozen), untouched, total = (line.split() for line in python(code, lazy="0").splitlines())
    assert (kind, compiler, frozen, *untouched) == ("module", "True", "0", "True")
    on = python(
        "from gradvitals.app.run.lazy_imports import import_lightning; import_lightning()"
        + STEPS
        + "print(weights(False).double().sum().item())"
    )
    assert total == on.split()


def test_others_may_import_while_stand_ins_are_removed(monkeypatch):
    """A thread imports, or a finalizer does, while the modules are gone through."""

    class Growing(dict):
        def items(self):
            for item in super().items():
                yield item
                self[f"of_another_thread_{len(self)}"] = sys

    modules = Growing(sys.modules)
    with defer_imports(["tabnanny"]):
        import tabnanny  # noqa: F401

        modules["tabnanny"] = sys.modules.pop("tabnanny")
        monkeypatch.setattr(sys, "modules", modules)
    assert "tabnanny" not in modules
