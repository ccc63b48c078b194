"""One run from a composed config to its result.

The module itself imports nothing heavy: torch and Lightning are imported after Hydra has configured logging, so that
Lightning's messages reach the run's log file.
"""

from __future__ import annotations

import traceback
from contextlib import ExitStack
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from gradvitals.app.config.error_messages import explain
from gradvitals.app.processes.signals import Signals
from gradvitals.app.run.environment import prepare
from gradvitals.app.run.job import Job, discard
from gradvitals.app.run.opening_lines import announce_run, show_config
from gradvitals.app.sweep.sweep_job import reserve_gpu, resume_from, run_in_sweep
from gradvitals.distributed.cluster_environment import is_first_process
from gradvitals.errors import INTERRUPTED, ConfigError
from gradvitals.results.objective import warn_if_guessed

if TYPE_CHECKING:
    from gradvitals.results.record import Record


def train(config: DictConfig) -> float | None:
    """Hydra's task function: one job.

    Returns:
        The best value of the objective, for a sweeper; a finite penalty where the run diverged, or failed in a sweep.

    Raises:
        SystemExit: 1 refused, 130 Ctrl-C, 143 SIGTERM or SIGUSR1.
    """
    job = Job.current()
    return _train(job, config) if job.sweep is None else run_in_sweep(job, config, _train)


def _train(job: Job, composed: DictConfig, previous: Record | None = None) -> float | None:
    run, failure, code = None, None, 0
    with ExitStack() as stack, job.refusals(began=lambda: run is not None and run.began):
        signals = stack.enter_context(Signals())
        config = job.config(composed)
        if previous is not None:
            config = resume_from(config, previous)
        if not config["look"]:  # which writes nothing
            announce_run(job)
        show_config(job, config)
        if job.sweep is not None:
            config = stack.enter_context(reserve_gpu(config))
        config = prepare(config)

        if config["look"]:
            from gradvitals.app.commands.table_look import look_at_table

            looked = look_at_table(config)
            if is_first_process():
                print(looked)
                discard(job.run_dir)
            return None

        from gradvitals.app.commands import stages
        from gradvitals.app.run.assemble import assemble
        from gradvitals.app.run.run_result import objective_value, remedies_of, result, write
        from gradvitals.app.run.run_summary import summary
        from gradvitals.results.result import Result

        run = assemble(config)
        if job.sweep is None and is_first_process():  # a sweep warns once for all its jobs
            warn_if_guessed(config["objective"], config["objective_mode"])
        stages.show_table(run, config)
        earlier = Result.read(job.run_dir)
        announce_run(job, begun=True)
        try:
            with stages.processes(run, job, composed, config["ckpt_path"]):
                stages.fit(run, config, job, signals)
                stages.test(run, config)
        except (KeyboardInterrupt, SystemExit):
            code = signals.code or INTERRUPTED
        except Exception as error:
            failure = explain(error)
            stages.log_to_file(traceback.format_exc())
            raise
        finally:
            found, remedies, unwritten = result(run, config, code > 0, failure), remedies_of(run, config), None
            if run.trainer.is_global_zero and earlier.status.is_over and (failure or not run.began):
                stages.keep(earlier, job.run_dir)
            elif run.trainer.is_global_zero and (run.began or not (failure or code)):
                unwritten = write(found, run, remedies, job.run_dir)
                wanted = job.sweep is None if config["report"] == "auto" else config["report"]
                if wanted and not unwritten:
                    stages.write_report(run, job.run_dir)
        if run.trainer.is_global_zero and (run.began or not code):
            stages.show(summary(found, run, remedies, job.run_dir), config)
        if code:
            raise SystemExit(code)
        if unwritten:
            raise ConfigError(unwritten)
        return objective_value(found)
