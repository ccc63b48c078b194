"""Writes one page about a run, or one that compares many: ``python src/report.py DIR...``."""

from gradvitals.app.commands.run_commands import report_command

if __name__ == "__main__":
    report_command("python src/report.py")
