"""The worker: runs the jobs of one server process in the background, and loads models before they are asked for."""

from .jobs import worker_for
from .starting import asgi_wrapper, startup
from .warming import warm

__all__ = ["asgi_wrapper", "startup", "warm", "worker_for"]
