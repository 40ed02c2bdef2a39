"""What training takes on each GPU, and what it costs: runs, their memory, and searches over them."""

from archcalc.analysis.training.adapters import targeted as targeted
from archcalc.analysis.training.pieces import trainable as trainable
from archcalc.analysis.training.planner import Planner as Planner
from archcalc.analysis.training.rules import check as check
from archcalc.analysis.training.run import CHINCHILLA_TOKENS as CHINCHILLA_TOKENS
from archcalc.analysis.training.run import CONTEXT_BYTES as CONTEXT_BYTES
from archcalc.analysis.training.run import CUBLAS_BYTES as CUBLAS_BYTES
from archcalc.analysis.training.run import OPTIMIZERS as OPTIMIZERS
from archcalc.analysis.training.run import Memory as Memory
from archcalc.analysis.training.run import Run as Run
from archcalc.analysis.training.search import limits as limits
from archcalc.analysis.training.search import remedies as remedies
from archcalc.analysis.training.states import nf4_bytes as nf4_bytes
from archcalc.analysis.training.work import work as work
