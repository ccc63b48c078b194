"""Tests a trained run: ``python src/eval.py RUN_DIR``."""

from gradvitals.app.commands.run_commands import eval_command

if __name__ == "__main__":
    eval_command("python src/eval.py")
