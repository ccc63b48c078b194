"""The closing lines of a run."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from gradvitals.app.config.conf_folder import project_root
from gradvitals.app.run.assemble import Run
from gradvitals.app.run.given_preparation import predicts_rows
from gradvitals.app.run.overfit_answer import overfit_answer
from gradvitals.callbacks.gradient_vitals import GradientVitals
from gradvitals.diagnosis.outcome import HEALTHY, UNDECIDED
from gradvitals.diagnosis.remedies import Remedy
from gradvitals.formatting import command, in_shell, visible, wrapped
from gradvitals.report.pages.phrases import PAGE
from gradvitals.report.profile_title import title
from gradvitals.results.result import MetricSummary, Parameters, Result, borrowed_test, without_memory
from gradvitals.results.status import Status

INDENT = 13
TOGETHER = "\N{NO-BREAK SPACE}"  # between words that one line contains
GREEN, RED, YELLOW = 32, 31, 33


def summary(result: Result, run: Run, remedies: Sequence[Remedy], run_dir: Path) -> str:
    """Returns the closing lines of a run, at most 80 columns wide where no path or name is longer.

    The verdict is that of the run; the profile is the gradient by layer at the first step.
    """
    monitor = run.monitor
    lines = [_status_line(result), _metrics_line(result.metrics)]
    if borrowed := borrowed_test(result.tested_on):
        lines.append(f"tested on    {borrowed}")
    if beside := without_memory(result.baseline):
        lines.append(f"baseline     {beside}")
    if result.parameters:
        lines.append(_parameters_line(result.parameters))
    if monitor is not None:
        lines += _verdict_lines(monitor, remedies)
    if monitor is not None and monitor.profiles:
        lines.append(f"profile      {': '.join(title(monitor.profiles))}")
    if monitor is not None and monitor.clipped_fraction is not None:
        lines.append(_clipping_line(monitor.clipped_fraction, monitor.start))
    if run.trainer.overfit_batches and "train/loss" in result.metrics:  # type: ignore[attr-defined]
        answer = overfit_answer(result.metrics["train/loss"].final, run.chance, result.steps or 0)
        lines.append(f"overfit      {answer}")
    if result.non_finite:
        skipped = f"; steps skipped: {result.skipped_steps}" if result.skipped_steps else ""
        lines.append(f"not finite   from step {result.non_finite.step}: {result.non_finite.where}{skipped}")
    lines.append(_command("run", in_shell(run_dir)))
    if result.status is Status.INTERRUPTED:
        lines.append(_command("resume", f"{command('train')} resume={in_shell(run_dir)}"))
    if predicts_rows(run.model) and (run_dir / "checkpoints" / "best.ckpt").exists():
        lines.append(_command("predict", f"{command('predict')} {in_shell(run_dir)} data.path=NEW.csv"))
    if (run_dir / PAGE).exists():
        lines.append(_command("report", in_shell(run_dir / PAGE)))
    if any(run_dir.glob("events.out.tfevents.*")):
        lines.append(_command("tensorboard", f"{_board()} {in_shell(run_dir)}"))
    return "\n".join(wrapped(visible(" ".join(line.splitlines())), INDENT).replace(TOGETHER, " ") for line in lines)


def colored(summary: str) -> str:
    r"""Returns closing lines whose verdict has its color on a terminal: green, yellow where undecided, or else red.

    Example:
        >>> colored("verdict      healthy: it learns")
        'verdict      \x1b[32mhealthy\x1b[0m: it learns'
    """
    return re.sub(r"^(verdict +)(\w+)", _colored, summary, flags=re.MULTILINE)


def _colored(found: re.Match[str]) -> str:
    color = {HEALTHY: GREEN, UNDECIDED: YELLOW}.get(found[2], RED)
    return f"{found[1]}\x1b[{color}m{found[2]}\x1b[0m"


def _command(name: str, command: str) -> str:
    """A command or a path alone, which is not wrapped, so that it can be copied."""
    return f"{name:<{INDENT}}{_together(command)}"


def _together(text: str) -> str:
    return text.replace(" ", TOGETHER)


def _verdict_lines(monitor: GradientVitals, remedies: Sequence[Remedy]) -> list[str]:
    lines = [f"verdict      {monitor.diagnosis}"]
    if monitor.seconds_saved is not None:
        lines.append(f"auto_stop    ended it early: the rest would have taken about {monitor.seconds_saved:.1f} s")
    if remedies:
        first, *others = remedies
        more = f", or {len(others)} more: {_together(command('cure'))} tries them" if others else ""
        lines.append(f"remedy       {_together(' '.join(first.overrides))}: {first.why}, {first.source}{more}")
    elif advice := monitor.diagnosis.advice:
        lines.append(f"advice       {advice}")
    return lines


def _status_line(result: Result) -> str:
    rate = f", {result.samples_per_second:,.0f} samples/s" if result.samples_per_second else ""
    return f"{result.status:<12} {result.epochs} epochs, {result.steps} steps, {result.seconds:.1f} s{rate}"


def _metrics_line(metrics: Mapping[str, MetricSummary]) -> str:
    parts = [
        f"{tag} {_number(metrics[tag].final)}" + (f" (best {_number(metrics[tag].best)})" if tag[:3] == "val" else "")
        for tag in sorted(metrics, key=lambda tag: tag.partition("/")[0], reverse=True)
    ]
    return "metrics      " + ("  ".join(map(_together, parts)) or "none was logged")


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4g}"


def _parameters_line(counted: Parameters) -> str:
    kinds = {"trained": counted.trained, "frozen": counted.frozen, "moving statistics": counted.statistics}
    parts = [f"{number:,} {kind}" for kind, number in kinds.items() if number]
    return "parameters   " + (f"{sum(kinds.values()):,}: {', '.join(parts)}" if len(parts) > 1 else "".join(parts))


def _clipping_line(fraction: float, start: dict[str, float]) -> str:
    line = f"clipping     changed {fraction:.0%} of the measured steps"
    if "clip/cosine" not in start:
        return line
    together, per_tensor = start["clip/cosine"], start["clip/cosine_per_tensor"]
    return f"{line}; at the first, cosine of before and after {together:.3f}, of any tensor {per_tensor:.3f} or more"


def _board() -> str:
    """The command with this Python, which a shell finds by name only where the environment is activated."""
    root = project_root()
    script = root / "src" / "board.py" if root else None
    program = in_shell(script) if script and script.is_file() else "-P -m gradvitals board"
    return f"{in_shell(Path(sys.executable))} {program}"
