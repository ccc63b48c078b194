"""Data sets as LightningDataModules; one file per kind, found by name in ``conf/data``."""
