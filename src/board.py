"""Serves TensorBoard on some runs: ``python src/board.py [DIR...]``."""

from gradvitals.app.commands.run_commands import board_command

if __name__ == "__main__":
    board_command("python src/board.py")
