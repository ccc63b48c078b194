"""The look at a table alone: ``debug=table``."""

from __future__ import annotations

from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.run.build_data import build_data, describe, description_of
from gradvitals.errors import ConfigError
from gradvitals.tabular.table_lines import lines


def look_at_table(config: RunConfig) -> str:
    """Reads the table of a config and returns what was read of it, in full.

    Raises:
        ConfigError: the data are no table, or the config is a job of a sweep.
    """
    if config.in_sweep:
        raise ConfigError("debug=table: looks at the table of one run; leave out -m and what is swept")
    data = build_data(config["data"])
    describe(data)
    description = description_of(data)
    if description is None:
        raise ConfigError(f"debug=table: describes the table of data=csv; got data={config.choices.get('data')}")
    return "\n".join(lines(description, full=True))
