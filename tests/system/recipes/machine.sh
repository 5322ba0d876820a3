#!/bin/sh
# Runs as root in the machine that machine.py boots: installs the recipes as docs/operations.md describes, and lets
# systemd and cron run them. The results are in /recipes/results.
set -eu
cd /recipes
until_true() { for _ in $(seq 300); do if "$@"; then return; fi; sleep 0.1; done; return 1; }
mails() { cat /var/mail/* 2>/dev/null | grep -c '^From ' || true; }
settled() { case $(systemctl show --property=ActiveState --value scenario-etl.service) in inactive | failed) ;; *) false ;; esac; }
received() { [ "$(mails)" -eq "$1" ]; }

python3 -m venv /opt/scenario-etl/.venv
/opt/scenario-etl/.venv/bin/pip install --quiet ./*.whl
useradd --system scenario-etl
mkdir -p /etc/scenario-etl /data/lake results
cp units/* /etc/systemd/system/
systemctl daemon-reload
systemctl enable --now scenario-etl.timer
TZ=UTC systemctl show --property=NextElapseUSecRealtime scenario-etl.timer >results/timer

# systemd: $1 names the API, $2 is the secret
night() {
  (umask 077 && echo demo >/etc/scenario-etl/key && echo "$2" >/etc/scenario-etl/secret)
  mkdir -p /run/systemd/system/scenario-etl.service.d
  printf '[Service]\nRestartSec=0\nEnvironment=SCENARIO_BASE_URL=%s\n' "$(cat "$1")" \
    >/run/systemd/system/scenario-etl.service.d/test.conf
  systemctl daemon-reload
  systemctl reset-failed
  rm -rf /var/lib/scenario-etl/lake # each API is another scope
  systemctl start scenario-etl.service || until_true settled
  systemctl show --property=Result,NRestarts,ExecMainStatus scenario-etl.service >"results/night-$1-$2"
}
night fine demo
stat -c '%U %n' /var/lib/scenario-etl/lake/collections/*/part-0.parquet >results/lake
night flaky demo
received 0
night fine wrong
until_true received 1
night down demo
until_true received 2
cat /var/mail/* >results/systemd-mail
rm -f /var/mail/*

# cron: @reboot is when the daemon starts
chown scenario-etl /data/lake
install -o scenario-etl -m 600 /dev/null /etc/scenario-etl.env
install -o scenario-etl -m 600 /dev/null /var/log/scenario-etl.log
install -m 755 scenario-snapshot /usr/local/bin/
sed 's/^17 3 \* \* \*/@reboot/' crontab >/etc/cron.d/scenario-etl
start_cron() {
  printf 'SCENARIO_BASE_URL=%s\nSCENARIO_SDK_API_KEY=demo\nSCENARIO_SDK_API_SECRET=%s\n' "$(cat fine)" "$1" \
    >/etc/scenario-etl.env
  rm -f /run/crond.reboot
  systemctl restart cron
}
start_cron demo
until_true grep -q 'added' /var/log/scenario-etl.log
start_cron wrong
until_true received 1
cp /var/log/scenario-etl.log results/cron-log
cat /var/mail/* >results/cron-mail
touch results/done
