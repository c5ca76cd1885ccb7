// SPDX-License-Identifier: Apache-2.0
// The only names that follow the macros: shorthands for "the best model that this build has". They
// stand in an inline namespace whose name spells the settings, so units with different settings
// link.
#pragma once

#include "kvbackup/backend/any.hpp"
#include "kvbackup/backend/gcs.hpp"
#include "kvbackup/backend/local.hpp"
#include "kvbackup/backend/memory.hpp"
#include "kvbackup/backend/noop.hpp"
#include "kvbackup/backend/s3.hpp"
#include "kvbackup/codec/any.hpp"
#include "kvbackup/codec/lz4.hpp"
#include "kvbackup/codec/none.hpp"
#include "kvbackup/codec/snappy.hpp"
#include "kvbackup/codec/zstd.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/hash/file_hasher.hpp"
#include "kvbackup/hash/sha256_openssl.hpp"
#include "kvbackup/hash/sha256_portable.hpp"
#include "kvbackup/restore/backup_reader.hpp"
#include "kvbackup/sst/block_cache.hpp"
#include "kvbackup/sst/checksum.hpp"
#include "kvbackup/sst/decoders.hpp"

#define KVBACKUP_DETAIL_PASTE_(lz4, snappy, zstd, xxhash, openssl, curl, threads, posix) \
  built_lz4_##lz4##_snappy_##snappy##_zstd_##zstd##_xxhash_##xxhash##_openssl_##openssl##_curl_##curl##_threads_##threads##_posix_##posix
#define KVBACKUP_DETAIL_PASTE(lz4, snappy, zstd, xxhash, openssl, curl, threads, posix) \
  KVBACKUP_DETAIL_PASTE_(lz4, snappy, zstd, xxhash, openssl, curl, threads, posix)

namespace kvbackup::inline v1 {
inline namespace KVBACKUP_DETAIL_PASTE(KVBACKUP_WITH_LZ4, KVBACKUP_WITH_SNAPPY, KVBACKUP_WITH_ZSTD,
                                       KVBACKUP_WITH_XXHASH, KVBACKUP_WITH_OPENSSL,
                                       KVBACKUP_WITH_CURL, KVBACKUP_WITH_THREADS,
                                       KVBACKUP_WITH_POSIX) {

/// The Hasher of this build: SHA-256 by OpenSSL where it is built in, the portable one elsewhere.
#if KVBACKUP_WITH_OPENSSL
  using FileHasher = BasicFileHasher<OpensslSha256>;
#else
  using FileHasher = BasicFileHasher<PortableSha256>;
#endif

  /// A run-time choice among the codecs of this build.
  using BuiltCodecs = AnyCodec<NoneCodec
#if KVBACKUP_WITH_LZ4
                               ,
                               Lz4Codec
#endif
#if KVBACKUP_WITH_SNAPPY
                               ,
                               SnappyCodec
#endif
#if KVBACKUP_WITH_ZSTD
                               ,
                               ZstdCodec
#endif
                               >;

  /// What a TableReader of this build decodes: its codecs and checksums.
  using BuiltDecoders = TableDecoders<CodecSet<NoneCodec
#if KVBACKUP_WITH_LZ4
                                               ,
                                               Lz4Codec
#endif
#if KVBACKUP_WITH_SNAPPY
                                               ,
                                               SnappyCodec
#endif
#if KVBACKUP_WITH_ZSTD
                                               ,
                                               ZstdCodec
#endif
                                               >,
                                      ChecksumSet<NoneChecksum, Crc32cChecksum
#if KVBACKUP_WITH_XXHASH
                                                  ,
                                                  XxHashChecksum, XxHash64Checksum, Xxh3Checksum
#endif
                                                  >>;

  /// A run-time choice among the backends of this build; open_backend() opens it.
  using BuiltBackends = AnyBackend<NoopBackend, MemoryBackend
#if KVBACKUP_WITH_POSIX
                                   ,
                                   LocalBackend
#endif
#if KVBACKUP_WITH_CURL && KVBACKUP_WITH_OPENSSL && KVBACKUP_WITH_THREADS && KVBACKUP_WITH_POSIX
                                   ,
                                   S3Backend
#endif
#if KVBACKUP_WITH_CURL && KVBACKUP_WITH_OPENSSL && KVBACKUP_WITH_POSIX
                                   ,
                                   GcsBackend
#endif
                                   >;

  /// A backup that is read where it lies, with what this build has.
  template <ReadableBackend Backend = BuiltBackends, BlockCache Cache = NoBlockCache>
  using Backup = BasicBackup<Backend, FileHasher, BuiltDecoders, Cache>;

}  // namespace )
}  // namespace kvbackup::inline v1

#undef KVBACKUP_DETAIL_PASTE
#undef KVBACKUP_DETAIL_PASTE_
