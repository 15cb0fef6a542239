"""The dialects the sandbox speaks."""

from ..dialect import Dialect
from .acube import ACube
from .afnor import Afnor
from .billit import Billit
from .cegid import Cegid
from .cegid_od import CegidOD
from .seqino import Seqino

DIALECTS: tuple[type[Dialect], ...] = (
    ACube,
    Seqino,
    Afnor,
    Billit,
    Cegid,
    CegidOD,
)
