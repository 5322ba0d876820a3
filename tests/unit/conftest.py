"""Unit tests start no server and no process."""

import os
import socket
import subprocess
from typing import NoReturn

import pytest


def _refuse(*_: object, **__: object) -> NoReturn:
    raise AssertionError(
        "a unit test uses neither sockets nor processes; put it into tests/integration or tests/system"
    )


@pytest.fixture(autouse=True)
def no_sockets_and_no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, name in [
        (socket.socket, "bind"),
        (socket.socket, "connect"),
        (subprocess.Popen, "__init__"),
        (os, "fork"),
    ]:
        monkeypatch.setattr(owner, name, _refuse)
