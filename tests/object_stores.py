"""A real S3 endpoint over HTTP, with one bucket, and what is in it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from moto.server import ThreadedMotoServer
from pyarrow import fs


@contextmanager
def s3_server() -> Iterator[str]:
    """Yield the URL of a server that the environment names, with the keys for it."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    endpoint = f"http://127.0.0.1:{port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        requests.put(f"{endpoint}/bucket", timeout=5).raise_for_status()
        yield endpoint
    server.stop()


def keys(prefix: str) -> list[str]:
    """The keys of the objects below a prefix, relative to it."""
    store, _ = fs.FileSystem.from_uri("s3://bucket")
    found = store.get_file_info(fs.FileSelector(f"bucket/{prefix}", recursive=True, allow_not_found=True))
    return sorted(item.path.removeprefix(f"bucket/{prefix}/") for item in found if item.type == fs.FileType.File)


def content(key: str) -> bytes:
    """The bytes of an object."""
    store, _ = fs.FileSystem.from_uri("s3://bucket")
    return store.open_input_file(f"bucket/{key}").read()
