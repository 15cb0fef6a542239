from ..dialect import Dialect
from .acube import ACube
from .afnor import Afnor
from .billit import Billit
from .seqino import Seqino

DIALECTS: tuple[type[Dialect], ...] = (
    ACube,
    Seqino,
    Afnor,
    Billit,
)
