#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make-test-ca.sh DIR : a throw-away certificate authority and what TLS tests need from it.
#   ca.pem ca.key                      the authority to trust
#   server.pem server.key              localhost, *.localhost, *.s3.localhost, 127.0.0.1
#   server-both.pem                    key and certificate in one file (radosgw, some others)
#   wrong-host.pem wrong-host.key      signed by the authority, for another name
#   expired.pem expired.key            signed by the authority, no longer valid
#   self.pem self.key                  not signed by the authority
#   client.pem client.key              client certificate (CN=backup-client) for mutual TLS
#   other-client.pem other-client.key  a second one (CN=stranger)
# The keys are made afresh at every call and protect nothing.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
mkdir -p "$1"; cd "$1"; umask 077
q() { "$@" 2>>openssl.log; }
: > openssl.log
key() { q openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
key ca
q openssl req -x509 -new -key ca.key -sha256 -days 30 -subj "/CN=kvbackup test authority" \
  -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" -out ca.pem
leaf() { # leaf NAME CN SAN USAGE [X509-OPTIONS...]
  local n=$1 cn=$2 san=$3 use=$4; shift 4
  key "$n"
  q openssl req -new -key "$n.key" -subj "/CN=$cn" -out "$n.csr"
  printf 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=%s\nsubjectAltName=%s\n' "$use" "$san" > "$n.ext"
  q openssl x509 -req -in "$n.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -sha256 -extfile "$n.ext" "$@" -out "$n.pem"
  rm -f "$n.csr" "$n.ext"
}
leaf server localhost "DNS:localhost,DNS:*.localhost,DNS:*.s3.localhost,IP:127.0.0.1,IP:::1" serverAuth,clientAuth -days 30   # etcd's own gateway presents it as a client
leaf wrong-host elsewhere.invalid "DNS:elsewhere.invalid" serverAuth -days 30
leaf client backup-client "DNS:backup-client" clientAuth -days 30
leaf other-client stranger "DNS:stranger" clientAuth -days 30
# an already expired certificate: openssl ca takes explicit dates (x509 -req does not in 3.0)
key expired
q openssl req -new -key expired.key -subj "/CN=localhost" -out expired.csr
mkdir -p cadb; : > cadb/index.txt; echo 1000 > cadb/serial
cat > ca.cnf <<CNF
[ca]
default_ca = d
[d]
dir = .
database = cadb/index.txt
serial = cadb/serial
new_certs_dir = cadb
default_md = sha256
policy = p
x509_extensions = e
[p]
commonName = supplied
[e]
basicConstraints = CA:FALSE
subjectAltName = DNS:localhost,DNS:*.localhost,IP:127.0.0.1
extendedKeyUsage = serverAuth
CNF
q openssl ca -batch -config ca.cnf -cert ca.pem -keyfile ca.key -in expired.csr -out expired.full \
  -startdate 20200101000000Z -enddate 20200201000000Z >/dev/null
q openssl x509 -in expired.full -out expired.pem
rm -rf expired.csr expired.full cadb ca.cnf
key self
q openssl req -x509 -new -key self.key -sha256 -days 30 -subj "/CN=localhost" -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" -out self.pem
cat server.key server.pem > server-both.pem
rm -f ca.srl
echo "CA_CERT=$PWD/ca.pem"; echo "SERVER_CERT=$PWD/server.pem"; echo "SERVER_KEY=$PWD/server.key"
