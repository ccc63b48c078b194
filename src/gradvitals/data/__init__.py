"""Data sets as LightningDataModules, one file per kind; ``conf/data`` names them."""
