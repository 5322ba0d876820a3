"""`python tests/system/recipes/image.py`: build the image of docs/operations.md without Docker, and run it.

An empty virtual environment stands for the base image. The container runs as the image's user, who may write to no
folder but the one that stands for its emptyDir, with the mounted secret and an S3 endpoint. It needs root.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import yaml
from moto.server import ThreadedMotoServer
from operations import CHECKOUT, block
from pyarrow import fs

from scenario_etl import Emulator

SYSTEM = "/usr/local/bin:/usr/bin:/bin"  # its Python is one that every user may run


@dataclass
class Image:
    """The image that the instructions of a Dockerfile have made so far."""

    root: Path
    workdir: Path = field(init=False)
    user: int = 0
    entrypoint: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.workdir = self.root

    @property
    def variables(self) -> dict[str, str]:
        return {"PATH": f"{self.root}/bin:{SYSTEM}", "HOME": "/"}

    def from_(self, base: str) -> None:
        assert re.fullmatch(r"python:3\.\d+-slim", base), base
        subprocess.run(["python3", "-m", "venv", self.root], env={"PATH": SYSTEM}, check=True)

    def workdir_(self, path: str) -> None:
        self.workdir = self.root / path.removeprefix("/")
        self.workdir.mkdir(parents=True, exist_ok=True)

    def copy_(self, arguments: str) -> None:
        *sources, target = shlex.split(arguments)
        assert target.endswith("/")
        for source in (CHECKOUT / name for name in sources):
            if source.is_dir():  # its content is copied, not the folder
                shutil.copytree(source, self.workdir / target, dirs_exist_ok=True)
            else:
                shutil.copy(source, self.workdir / target)

    def run_(self, command: str) -> None:
        pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        subprocess.run(["/bin/sh", "-c", command], cwd=self.workdir, env=self.variables | pip, check=True)

    def user_(self, number: str) -> None:
        self.user = int(number)

    def entrypoint_(self, words: str) -> None:
        self.entrypoint = tuple(json.loads(words))


def build(dockerfile: str, root: Path) -> Image:
    image = Image(root)
    for line in dockerfile.splitlines():
        instruction, arguments = line.split(" ", 1)
        getattr(image, f"{instruction.lower()}_")(arguments)
    return image


def container() -> dict[str, Any]:
    job = yaml.safe_load(block("yaml kubernetes"))
    (only,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return only


def run(image: Image, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the container as Kubernetes would: the secret and the emptyDir mounted, nothing else writable."""
    declared = container()
    mounts = {mount["name"]: mount["mountPath"] for mount in declared["volumeMounts"]}
    assert mounts["tmp"] == "/tmp"  # where Python looks first without TMPDIR
    secrets, tmp = folder / "secrets", folder / "tmp"
    for path in (secrets, tmp):
        path.mkdir(exist_ok=True)
    for name in ("key", "secret"):
        (secrets / name).write_text("demo\n")
    os.chown(tmp, image.user, image.user)
    variables_of_pod = {
        each["name"]: each["value"].replace(mounts["secrets"], str(secrets), 1) for each in declared["env"]
    }
    done = subprocess.run(
        [*image.entrypoint, *declared["args"]],
        env=image.variables | variables_of_pod | {"TMPDIR": str(tmp)} | variables,
        cwd="/", user=image.user, group=image.user, extra_groups=[],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not list(tmp.iterdir())
    return done


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        image = build(block("dockerfile"), folder / "image")
        assert image.user > 0
        moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
        moto.start()
        host, port = moto.get_host_and_port()
        requests.put(f"http://{host}:{port}/bucket", timeout=30).raise_for_status()
        created = re.findall(r"AWS_\w+", block("sh kubernetes"))
        store = dict.fromkeys(created, "any") | {"AWS_DEFAULT_REGION": "us-east-1"}
        with Emulator(50) as api:
            places = {"SCENARIO_BASE_URL": api.url, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
            done = run(image, folder, **store, **places)
            assert done.returncode == 0, done.stderr
            done = run(image, folder, **store, **places, SCENARIO_SDK_API_SECRET="wrong", SCENARIO_SDK_API_KEY="wrong")
            assert done.returncode == 77, done.stderr
        place = {"endpoint_override": f"{host}:{port}", "scheme": "http"}
        lake = fs.S3FileSystem(access_key="any", secret_key="any", **place)
        files = lake.get_file_info(fs.FileSelector("bucket/lake/collections", recursive=True))
        assert any(file.base_name == "part-0.parquet" for file in files), files
        moto.stop()


if __name__ == "__main__":
    main()
