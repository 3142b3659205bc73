"""Training configs -> plans: the learning-rate schedule a config will produce. Nothing a file names is ever run."""

from lrdoctor.configs.context import Context, Sizes
from lrdoctor.configs.plain import SchemaMap
from lrdoctor.configs.read import NotAConfig, read_plans

__all__ = ["Context", "NotAConfig", "SchemaMap", "Sizes", "read_plans"]
