#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes, in the folder given, an authority (ca.pem), a server's and a client's certificate that it
# vouches for (server.pem, server.key, client.pem, client.key), and a stranger's (other.pem,
# other.key). The server is localhost and 127.0.0.1.
set -euo pipefail
mkdir -p "$1"
cd "$1"
new_key=(openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -batch)
"${new_key[@]}" -x509 -days 3650 -subj "/CN=kvbackup test authority" -keyout ca.key -out ca.pem
"${new_key[@]}" -x509 -days 3650 -subj "/CN=stranger" -keyout other.key -out other.pem
for name in server client; do
  "${new_key[@]}" -subj "/CN=kvbackup test $name" -keyout "$name.key" -out "$name.csr"
  openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 \
    -extfile <(echo "subjectAltName=DNS:localhost,IP:127.0.0.1") -out "$name.pem"
done
