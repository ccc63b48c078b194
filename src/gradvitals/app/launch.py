"""The entry of every Hydra script: resolvers, errors in one line."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Callable

from omegaconf import OmegaConf

from gradvitals.app.errors import VERBOSE, explain, full_errors
from gradvitals.app.guard import leave
from gradvitals.app.job import INTERRUPTED
from gradvitals.app.names import slug
from gradvitals.app.resume import AlreadyCompleted, rewrite


def launch(main: Callable[[], object], resumes: bool = False) -> None:
    """Run a ``@hydra.main`` function so that a wrong override ends in one line and exit code 1.

    Args:
        main: the decorated function.
        resumes: whether ``resume=`` means something to it.
    """
    atexit.register(gc.freeze)  # spares the last look at everything that was imported, a second and more at exit
    OmegaConf.register_new_resolver("gradvitals.slug", slug, replace=True)
    # Hydra hands an error on instead of printing it only under this variable; the user's own choice is kept beside it.
    os.environ.setdefault(VERBOSE, os.environ.get("HYDRA_FULL_ERROR", "0"))
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        if resumes:
            sys.argv = rewrite(sys.argv)
        main()
    except AlreadyCompleted as done:
        print(done)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:
        if full_errors():
            raise
        leave(explain(error))
