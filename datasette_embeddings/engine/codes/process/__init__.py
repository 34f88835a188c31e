"""A process of its own for searches that meet: in one they would wait for each other's turn at the interpreter."""

from .parent import ScanProcess, scan_process

__all__ = ["ScanProcess", "scan_process"]
