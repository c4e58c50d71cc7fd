"""What problems whose solutions have one form share: texts, answers, moves, arrays, enumeration; one file a kind.

This package exports what most problem files use.
"""

from .assignment import Assignment, Labels, Partial
from .graph import Graph, WeightedGraph
from .instance import Pairs, Rows, Sets, Shape, Square, TypedInstance, Vector, WeightedPairs
from .kind import Choose, Kind, Reader, as_kind
from .permutation import Order, Permutation
from .schedule import Plan, Row, Schedule
from .sequence import Sequence, Walk
from .subset import Chosen, GraphSubset, Subset
from .table import Data, Names, Table, Value

__all__ = [
    "Assignment",
    "Choose",
    "Chosen",
    "Data",
    "Graph",
    "GraphSubset",
    "Kind",
    "Labels",
    "Names",
    "Order",
    "Pairs",
    "Partial",
    "Permutation",
    "Plan",
    "Reader",
    "Row",
    "Rows",
    "Schedule",
    "Sequence",
    "Sets",
    "Shape",
    "Square",
    "Subset",
    "Table",
    "TypedInstance",
    "Value",
    "Vector",
    "Walk",
    "WeightedGraph",
    "WeightedPairs",
    "as_kind",
]
