"""Messages between the two processes, over a socket pair: a JSON object, arrays, and file descriptors.

A message is the length of the object (4 bytes, little-endian), the object, the bytes of each array, and one byte with
each descriptor. What the arrays are, and how many descriptors there are, stands in the object.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

LENGTH = struct.Struct("<I")


class Message(NamedTuple):
    """What was sent: the arrays are (n,) each, and the descriptors are the receiver's to close."""

    header: dict[str, Any]
    arrays: list[Array]
    descriptors: list[int]


def send(
    sock: socket.socket, header: dict[str, Any], arrays: Sequence[Array] = (), descriptors: Sequence[int] = ()
) -> None:
    """Send a message; OSError where the other side is gone or does not read."""
    kinds = [(array.dtype.str, len(array)) for array in arrays]
    head = json.dumps([header, kinds, len(descriptors)]).encode()
    sock.sendall(b"".join([LENGTH.pack(len(head)), head, *(array.tobytes() for array in arrays)]))
    for descriptor in descriptors:
        socket.send_fds(sock, [b"\0"], [descriptor])


def receive(sock: socket.socket) -> Message:
    """The next message; EOFError where the other side is gone, OSError where it says nothing for too long."""
    (length,) = LENGTH.unpack(_read(sock, LENGTH.size))
    header, kinds, count = json.loads(_read(sock, length))
    arrays = [np.frombuffer(_read(sock, np.dtype(kind).itemsize * size), kind) for kind, size in kinds]
    return Message(header, arrays, [_descriptor(sock) for _ in range(count)])


def _read(sock: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        count = sock.recv_into(rest)
        if not count:
            raise EOFError("The other process is gone")
        rest = rest[count:]
    return data


def _descriptor(sock: socket.socket) -> int:
    _, descriptors, _, _ = socket.recv_fds(sock, 1, 1)
    if not descriptors:
        raise EOFError("The other process is gone")
    return descriptors[0]
