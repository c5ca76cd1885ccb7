#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Start a throw-away single-node Ceph cluster (1 mon, 1 osd, 1 S3 gateway) on 127.0.0.1.
#
#   start-ceph-rgw.sh WORKDIR PORT
#
# The S3 endpoint is http://127.0.0.1:PORT (path style) and, because the
# gateway's DNS name is s3.localhost, http://BUCKET.s3.localhost:PORT (virtual-host
# style).  The monitor uses PORT+1, the OSD a small range from PORT+2 up.
# Needs the Debian packages radosgw, ceph-mon, ceph-osd (and ceph-common).
#
# Environment:
#   S3_ACCESS_KEY / S3_SECRET_KEY      of the user (default kvbackup / kvbackup-secret)
#   S3_ACCESS_KEY2 / S3_SECRET_KEY2    of another one (default kvother / kvother-secret)
#   CEPH_OSD_STORE    memstore (default; lost at stop) or bluestore (file-backed)
#   CEPH_OSD_BYTES    capacity (default 4 GiB)
#   RGW_TLS_CERT      PEM file holding key and certificate: also serve https on PORT+9
#   RGW_STS           1: enable STS on the same endpoint (POST / Action=AssumeRole):
#                     a role "kvbackup" is created that the user may assume
#
# Prints KEY=VALUE lines; process ids go to WORKDIR/pids (stop: stop-server.sh WORKDIR).
set -euo pipefail
[ $# -eq 2 ] || { echo "usage: $0 WORKDIR PORT" >&2; exit 2; }
. "$(dirname "$0")/lib.sh"; workdir "$1"; PORT=$2
AK=${S3_ACCESS_KEY:-kvbackup}; SK=${S3_SECRET_KEY:-kvbackup-secret}
AK2=${S3_ACCESS_KEY2:-kvother}; SK2=${S3_SECRET_KEY2:-kvother-secret}
STORE=${CEPH_OSD_STORE:-memstore}; BYTES=${CEPH_OSD_BYTES:-4294967296}
umask 077
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)" || true

rm -rf "$W/mon" "$W/osd" "$W/run" "$W/monmap"
mkdir -p "$W/mon" "$W/osd" "$W/run" "$W/log"
FSID=$(cat /proc/sys/kernel/random/uuid)
FRONT="beast endpoint=127.0.0.1:$PORT"
[ -z "${RGW_TLS_CERT:-}" ] || FRONT="$FRONT ssl_endpoint=127.0.0.1:$((PORT + 9)) ssl_certificate=$RGW_TLS_CERT"

cat > "$W/ceph.conf" <<CONF
[global]
fsid = $FSID
mon host = v2:127.0.0.1:$((PORT + 1))
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind port min = $((PORT + 2))
ms bind port max = $((PORT + 8))
ms bind msgr1 = false
run dir = $W/run
admin socket = $W/run/\$name.asok
log file = $W/log/\$name.log
pid file = $W/run/\$name.pid
crash dir = $W/run
keyring = $W/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon allow pool delete = true
mon max pg per osd = 1000
mon data avail warn = 1
mon data avail crit = 0
mon warn on pool no redundancy = false
debug ms = 0
[mon.a]
mon data = $W/mon
[osd.0]
osd data = $W/osd
osd objectstore = $STORE
osd memory target = 939524096
osd scrub begin hour = 0
osd op num shards = 2
osd class update on start = false
memstore device bytes = $BYTES
bluestore block size = $BYTES
bluestore block create = true
[client.rgw]
rgw frontends = $FRONT
rgw dns name = s3.localhost
rgw thread pool size = 64
rgw enable usage log = false
rgw enable gc threads = true
rgw enable lc threads = true
rgw rados pool pg num min = 4
rgw crypt require ssl = false
rgw verify ssl = true
# SSE-KMS with a key kept in this file: key id "testkey"
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = testkey=YmFja3VwLXRlc3Qta2V5LTAxMjM0NTY3ODlhYmNkZWY=
CONF
[ "${RGW_STS:-0}" = 0 ] || cat >> "$W/ceph.conf" <<CONF
rgw s3 auth use sts = true
rgw sts key = kvbackupstskey01
# so that a test sees keys end
rgw sts min session duration = 1
CONF
C="$W/ceph.conf"
# one keyring for every entity of this throw-away cluster
K="$W/keyring"; rm -f "$K"
key() { ceph-authtool "$K" --gen-key -n "$@" >>"$W/log/mkfs.out" 2>&1; }
: > "$W/log/mkfs.out"
ceph-authtool --create-keyring "$K" --gen-key -n mon. --cap mon 'allow *' >>"$W/log/mkfs.out" 2>&1
key client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
key client.rgw --cap mon 'allow *' --cap osd 'allow *'
key osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'

monmaptool --create --fsid "$FSID" --addv a "[v2:127.0.0.1:$((PORT + 1))]" --clobber "$W/monmap" >>"$W/log/mkfs.out" 2>&1
ceph-mon --mkfs -c "$C" -i a --monmap "$W/monmap" --keyring "$K" >>"$W/log/mkfs.out" 2>&1 || fail "ceph-mon --mkfs failed"
start mon.a ceph-mon -f -c "$C" -i a
ceph -c "$C" --connect-timeout 30 osd new "$(cat /proc/sys/kernel/random/uuid)" 0 >>"$W/log/mkfs.out" 2>&1 || fail "the monitor did not answer"
OSDUUID=$(ceph -c "$C" osd dump -f json 2>/dev/null | tr ',{' '\n\n' | sed -n 's/^"uuid":"\([0-9a-f-]*\)".*/\1/p' | head -1)
ceph-osd --mkfs -c "$C" -i 0 --osd-uuid "$OSDUUID" >>"$W/log/mkfs.out" 2>&1 || fail "ceph-osd --mkfs failed"
ceph -c "$C" osd crush add osd.0 1 host=localhost root=default >>"$W/log/mkfs.out" 2>&1 || fail "crush add failed"
start osd.0 ceph-osd -f -c "$C" -i 0
for i in $(seq 150); do
  ceph -c "$C" osd stat 2>/dev/null | grep -q '1 up' && break
  alive osd.0 || fail "ceph-osd ended"
  sleep 0.2
done
admin() { timeout 60 radosgw-admin -c "$C" -n client.rgw "$@"; }
admin user create --uid=kvbackup --display-name=kvbackup \
  --access-key="$AK" --secret-key="$SK" >>"$W/log/mkfs.out" 2>&1 || fail "user create failed"
admin user create --uid=kvother --display-name=kvother \
  --access-key="$AK2" --secret-key="$SK2" >>"$W/log/mkfs.out" 2>&1 || fail "user create failed"
if [ "${RGW_STS:-0}" != 0 ]; then
  admin role create --role-name=kvbackup --path=/ \
    --assume-role-policy-doc='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam:::user/kvbackup"]},"Action":["sts:AssumeRole"]}]}' \
    >>"$W/log/mkfs.out" 2>&1 || fail "role create failed"
  admin role-policy put --role-name=kvbackup --policy-name=all \
    --policy-doc='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":"arn:aws:s3:::*"}]}' \
    >>"$W/log/mkfs.out" 2>&1 || fail "role-policy put failed"
fi
# a second storage class, so that x-amz-storage-class can be seen to arrive
P="--placement-id=default-placement --storage-class=STANDARD_IA"
admin zonegroup placement add --rgw-zonegroup=default $P >>"$W/log/mkfs.out" 2>&1 || fail "storage class"
admin zone placement add --rgw-zone=default $P --data-pool=default.rgw.buckets.data \
  >>"$W/log/mkfs.out" 2>&1 || fail "storage class"
start rgw radosgw -f -c "$C" -n client.rgw
wait_http rgw "http://127.0.0.1:$PORT/"
TLS=; [ -z "${RGW_TLS_CERT:-}" ] || TLS="S3_ENDPOINT_TLS=https://s3.localhost:$((PORT + 9))"
finish <<ENV
S3_ENDPOINT=http://127.0.0.1:$PORT
S3_ENDPOINT_VHOST=http://s3.localhost:$PORT
S3_REGION=us-east-1
S3_ACCESS_KEY=$AK
S3_SECRET_KEY=$SK
S3_ACCESS_KEY2=$AK2
S3_SECRET_KEY2=$SK2
$TLS
ENV
