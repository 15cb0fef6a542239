from ..dialect import Dialect
from .acube import ACube

DIALECTS: tuple[type[Dialect], ...] = (ACube,)
