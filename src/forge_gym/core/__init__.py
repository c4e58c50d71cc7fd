"""What a problem, an answer, a verdict, a reference, a reward and an episode are.

This package exports what most problem files use.
"""

from .bitset import bits, mask_of
from .checks import check_int
from .parameters import Between, Range, Share
from .reference import Certificate
from .verdict import Malformed, Violation

__all__ = ["Between", "Certificate", "Malformed", "Range", "Share", "Violation", "bits", "check_int", "mask_of"]
