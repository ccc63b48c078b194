"""Writes the weights of a run as safetensors: ``python src/export.py RUN_DIR``."""

from gradvitals.app.commands.run_commands import export_command

if __name__ == "__main__":
    export_command("python src/export.py")
