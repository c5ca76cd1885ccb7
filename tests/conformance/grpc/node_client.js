// SPDX-License-Identifier: Apache-2.0
// Backs a store up through `kvbackup serve` by @grpc/grpc-js, with the schema loaded at run time, and
// prints as JSON what it decoded: node_client.js ADDRESS PROTO_FOLDER STORAGE_FOLDER
'use strict';
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [address, protos, folder] = process.argv.slice(2);
const options = {keepCase: true, longs: String, enums: String, defaults: true, includeDirs: [protos]};
const schema = grpc.loadPackageDefinition(loader.loadSync('backup.proto', options));
const client = new schema.backup.Backup(address, grpc.credentials.createInsecure());

// grpc.health.v1 by hand: its schema is not in that folder
function health(done) {
  const bytes = (buffer) => buffer;
  client.makeUnaryRequest('/grpc.health.v1.Health/Check', bytes, bytes, Buffer.alloc(0),
    (error, reply) => done(error ? String(error) : reply.equals(Buffer.from([8, 1])) ? 'SERVING' : 'not serving'));
}

const hex = (bytes) => Buffer.from(bytes).toString('hex');
const plain = (response) => ({
  start_key: hex(response.start_key),
  end_key: hex(response.end_key),
  error: response.error && response.error.msg,
  files: response.files.map((file) => ({
    ...file, sha256: hex(file.sha256), start_key: hex(file.start_key), end_key: hex(file.end_key),
  })),
});

health((state) => {
  const responses = [];
  const call = client.backup({
    is_raw_kv: true, compression_type: 'LZ4', storage_backend: {local: {path: folder}},
  });
  call.on('data', (response) => responses.push(plain(response)));
  call.on('error', (error) => {
    console.error(String(error));
    process.exitCode = 1;
    client.close();
  });
  call.on('end', () => {
    console.log(JSON.stringify({health: state, responses}));
    client.close();
  });
});
