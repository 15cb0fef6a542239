from ..dialect import Dialect
from .acube import ACube
from .seqino import Seqino

DIALECTS: tuple[type[Dialect], ...] = (ACube, Seqino)
