"""`python tests/system/recipes/machine.py WHEEL`: run the recipes for cron and systemd with the real daemons.

They run in a container that systemd-nspawn boots from this machine's own files; all that is written in it, units, users
and mail, is gone with it. It needs root, Debian's cron and exim4-daemon-light, and systemd-container.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from operations import DOWN, block, unit

from scenario_etl import Emulator

UNITS = ("scenario-etl.service", "scenario-etl.timer", "failure-mail@.service")
BOOT = """
mount --bind / "$1/root"
exec systemd-nspawn --quiet --register=no --keep-unit --directory="$1/root" --volatile=overlay --console=pipe \\
  --bind="$1/recipes:/recipes" --bind-ro="$1/recipes/recipes.service:/etc/systemd/system/recipes.service" \\
  --boot -- --unit=recipes.service
"""
SERVICE = """[Unit]
Requires=basic.target
After=basic.target
SuccessAction=exit-force
FailureAction=exit-force

[Service]
Type=oneshot
EnvironmentFile=/recipes/pip.env
ExecStart=/bin/sh /recipes/machine.sh
StandardOutput=file:/recipes/output
StandardError=inherit
TimeoutStartSec=300
"""


def main(wheel: str) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Emulator(9) as fine,
        Emulator(9, faults=[DOWN] * 2) as flaky,
        Emulator(9, faults=[DOWN] * 9) as down,
    ):
        recipes = Path(folder, "recipes")
        write_recipes(recipes, wheel)
        for name, api in {"fine": fine, "flaky": flaky, "down": down}.items():
            (recipes / name).write_text(api.url)
        boot(Path(folder), recipes)
        check_systemd(recipes / "results")
        check_cron(recipes / "results")
        assert (len(flaky.requests), len(down.requests)) == (4, 4)  # the names of projects, too


def write_recipes(folder: Path, wheel: str) -> None:
    (folder / "units").mkdir(parents=True)
    for name in UNITS:
        (folder / "units" / name).write_text(unit(name))
    (folder / "scenario-snapshot").write_text(block("sh cron"))
    (folder / "crontab").write_text(block("crontab"))
    (folder / "pip.env").write_text("".join(f"{k}={v}\n" for k, v in os.environ.items() if k.startswith("PIP_")))
    shutil.copy(wheel, folder)
    shutil.copy(Path(__file__).with_name("machine.sh"), folder)


def boot(folder: Path, recipes: Path) -> None:
    """Boot the machine, and wait until it has run machine.sh and is off."""
    (folder / "root").mkdir()
    (recipes / "recipes.service").write_text(SERVICE)
    command = ["unshare", "--mount", "/bin/sh", "-ec", BOOT, "sh", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    output = recipes / "output"
    assert (recipes / "results" / "done").exists(), done.stderr + (output.read_text() if output.exists() else "")


def check_systemd(results: Path) -> None:
    """Each night ends as it should, the user owns the lake, and a failure is mailed once, after the last attempt."""
    results_by_night = {path.name: path.read_text() for path in results.glob("night-*")}
    codes = {name: re.findall(r"^ExecMainStatus=(\d+)$", text, re.MULTILINE) for name, text in results_by_night.items()}
    expected = {"fine-demo": "0", "flaky-demo": "0", "fine-wrong": "77", "down-demo": "75"}
    assert codes == {f"night-{name}": [code] for name, code in expected.items()}, results_by_night
    assert re.search(r"=\w{3} \d{4}-\d\d-\d\d 03:[12]\d:", (results / "timer").read_text())
    assert (results / "lake").read_text().startswith("scenario-etl ")
    mail = (results / "systemd-mail").read_text()
    assert mail.count("Subject: scenario-etl.service failed on") == 2
    assert "check SCENARIO_SDK_API_KEY" in mail, mail
    assert "503" in mail, mail


def check_cron(results: Path) -> None:
    """A good night is logged, a wrong key is logged and mailed."""
    log, mail = ((results / name).read_text() for name in ("cron-log", "cron-mail"))
    assert "9 added" in log
    assert mail.count("Subject: Cron <scenario-etl@") == 1
    assert "9 added" not in mail
    for text in (log, mail):
        assert "check SCENARIO_SDK_API_KEY" in text


if __name__ == "__main__":
    main(*sys.argv[1:])
