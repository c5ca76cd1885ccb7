#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Start OpenStack Swift (proxy, account, container, object server; one device, one replica)
# with the s3api and tempauth middleware on 127.0.0.1.
#
#   start-swift-s3.sh WORKDIR PORT
#
# S3 endpoint http://127.0.0.1:PORT (path style) or http://BUCKET.s3.localhost:PORT;
# the other three servers use PORT+1..PORT+3.  WORKDIR must be on a file system with
# user extended attributes (ext4, xfs, btrfs; tmpfs from Linux 6.6).
# Needs the Debian packages swift-proxy swift-account swift-container swift-object.
# Access keys have the form ACCOUNT:USER.
#
# Environment:
#   S3_SECRET_KEY / S3_SECRET_KEY2   secrets of the users backup:admin and other:admin
#   SWIFT_MEMCACHED                  host:port of a memcached (optional, lookups get faster)
#
# Prints KEY=VALUE lines; process ids go to WORKDIR/pids (stop: stop-server.sh WORKDIR).
set -euo pipefail
[ $# -eq 2 ] || { echo "usage: $0 WORKDIR PORT" >&2; exit 2; }
. "$(dirname "$0")/lib.sh"; workdir "$1"; PORT=$2
SK=${S3_SECRET_KEY:-kvbackup-secret}; SK2=${S3_SECRET_KEY2:-kvother-secret}
ME=$(id -un)
rm -rf "$W/etc" "$W/srv" "$W/cache"; mkdir -p "$W/etc" "$W/srv/d1" "$W/cache"

cat > "$W/etc/swift.conf" <<CONF
[swift-hash]
swift_hash_path_suffix = kvbackup
swift_hash_path_prefix = kvbackup
[storage-policy:0]
name = Policy-0
default = yes
CONF
export PYTHONWARNINGS=ignore
n=0
for s in object container account; do
  n=$((n + 1)); port=$((PORT + n))
  ( cd "$W/etc"
    swift-ring-builder $s.builder create 4 1 1
    swift-ring-builder $s.builder add "r1z1-127.0.0.1:$port/d1" 1
    swift-ring-builder $s.builder rebalance ) > "$W/log/ring-$s.out" 2>&1 || true
  [ -s "$W/etc/$s.ring.gz" ] || fail "no $s ring"
  cat > "$W/etc/$s.conf" <<CONF
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $port
workers = 0
user = $ME
swift_dir = $W/etc
devices = $W/srv
mount_check = false
disable_fallocate = true
log_level = WARNING
recon_cache_path = $W/cache
[pipeline:main]
pipeline = $s-server
[app:$s-server]
use = egg:swift#$s
CONF
  start $s swift-$s-server "$W/etc/$s.conf"
done
cat > "$W/etc/proxy.conf" <<CONF
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $PORT
workers = 0
user = $ME
swift_dir = $W/etc
log_level = WARNING
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache s3api tempauth copy slo dlo versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
use = egg:swift#memcache
memcache_servers = ${SWIFT_MEMCACHED:-127.0.0.1:1}
[filter:s3api]
use = egg:swift#s3api
s3_acl = true
location = us-east-1
storage_domain = s3.localhost
max_upload_part_num = 10000
max_bucket_listing = 1000
[filter:tempauth]
use = egg:swift#tempauth
user_backup_admin = $SK .admin
user_other_admin = $SK2 .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
max_manifest_segments = 10000
[filter:dlo]
use = egg:swift#dlo
[filter:symlink]
use = egg:swift#symlink
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
CONF
start proxy swift-proxy-server "$W/etc/proxy.conf"
wait_http proxy "http://127.0.0.1:$PORT/healthcheck"
for i in 1 2 3; do wait_http proxy "http://127.0.0.1:$((PORT + i))/healthcheck"; done
finish <<ENV
S3_ENDPOINT=http://127.0.0.1:$PORT
S3_ENDPOINT_VHOST=http://s3.localhost:$PORT
S3_REGION=us-east-1
S3_ACCESS_KEY=backup:admin
S3_SECRET_KEY=$SK
S3_ACCESS_KEY2=other:admin
S3_SECRET_KEY2=$SK2
ENV
