"""``python -m gradvitals COMMAND`` is ``gradvitals COMMAND``."""

from gradvitals.app.commands.console import main

if __name__ == "__main__":
    main()
