// SPDX-License-Identifier: Apache-2.0
// The only reader of user and compiler macros. After this header every KVBACKUP_WITH_* is 0 or 1.
//
// Law: a macro may add names, never change the meaning of one, so that units compiled with
// different settings link together. Only defaults.hpp holds names that follow the macros.
#pragma once

#include "kvbackup/version.hpp"

// A unit takes the headers of include/ or the generated single header, never both: the same names
// would be defined twice.
#ifndef KVBACKUP_DETAIL_AMALGAMATING
#ifdef KVBACKUP_SINGLE_HEADER
#error "kvbackup: this unit already includes the single header; take one form, not both"
#endif
#define KVBACKUP_TREE_HEADERS 1
#endif

// Foreign libraries: off unless the build says that it links them (CMake components do).
#ifndef KVBACKUP_WITH_LZ4
#define KVBACKUP_WITH_LZ4 0
#endif
#ifndef KVBACKUP_WITH_SNAPPY
#define KVBACKUP_WITH_SNAPPY 0
#endif
#ifndef KVBACKUP_WITH_ZSTD
#define KVBACKUP_WITH_ZSTD 0
#endif
#ifndef KVBACKUP_WITH_XXHASH
#define KVBACKUP_WITH_XXHASH 0
#endif
#ifndef KVBACKUP_WITH_OPENSSL
#define KVBACKUP_WITH_OPENSSL 0
#endif
#ifndef KVBACKUP_WITH_CURL
#define KVBACKUP_WITH_CURL 0
#endif
#ifndef KVBACKUP_WITH_RAPIDJSON
#define KVBACKUP_WITH_RAPIDJSON 0
#endif
#ifndef KVBACKUP_WITH_PROTOBUF
#define KVBACKUP_WITH_PROTOBUF 0
#endif
#ifndef KVBACKUP_WITH_GRPC
#define KVBACKUP_WITH_GRPC 0
#endif
#ifndef KVBACKUP_WITH_LMDB
#define KVBACKUP_WITH_LMDB 0
#endif
#ifndef KVBACKUP_WITH_ROCKSDB
#define KVBACKUP_WITH_ROCKSDB 0
#endif
#ifndef KVBACKUP_WITH_LEVELDB
#define KVBACKUP_WITH_LEVELDB 0
#endif

// Parts of the platform: on unless the build takes them away. THREADS=0 removes ThreadExecutor,
// POSIX=0 removes LocalBackend, SystemClock and the file handle, each with its includes.
#ifndef KVBACKUP_WITH_THREADS
#define KVBACKUP_WITH_THREADS 1
#endif
#ifndef KVBACKUP_WITH_POSIX
#define KVBACKUP_WITH_POSIX 1
#endif

// Speed for size: 0 leaves out what hashes know of processors (CRC, carry-less product and SHA
// instructions, and the choice among them as the program runs) and makes the tables of CRCs an
// eighth: 28 KiB of code and tables less on x86-64. No value depends on it; where units of both
// settings are linked together, the linker chooses which of the two is run.
#ifndef KVBACKUP_WITH_FAST_HASHES
#define KVBACKUP_WITH_FAST_HASHES 1
#endif

// Called with a condition that only a programming mistake makes false. What depends on data is a
// Status in every build type and never comes here. A host may define its own before the include.
#ifndef KVBACKUP_ASSERT
#include <cassert>
#define KVBACKUP_ASSERT(condition) assert(condition)
#endif

// Internal: what the compiler's target offers. KVBACKUP_DETAIL_* names end with the single header.
#if KVBACKUP_WITH_FAST_HASHES && defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define KVBACKUP_DETAIL_X86_64 1
#else
#define KVBACKUP_DETAIL_X86_64 0
#endif
#if defined(__SIZEOF_INT128__)
#define KVBACKUP_DETAIL_INT128 1
#else
#define KVBACKUP_DETAIL_INT128 0
#endif
#if KVBACKUP_WITH_FAST_HASHES && defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#define KVBACKUP_DETAIL_ARM_CRC32 1
#else
#define KVBACKUP_DETAIL_ARM_CRC32 0
#endif
#if KVBACKUP_WITH_FAST_HASHES
#define KVBACKUP_DETAIL_CRC_SLICES 8
#else
#define KVBACKUP_DETAIL_CRC_SLICES 1
#endif
#if defined(__GNUC__) || defined(__clang__)
#define KVBACKUP_DETAIL_COLD [[gnu::cold, gnu::noinline]]
#define KVBACKUP_DETAIL_ALWAYS_INLINE inline __attribute__((always_inline))
#define KVBACKUP_DETAIL_TARGET(features) __attribute__((target(features)))
#define KVBACKUP_DETAIL_PREFETCH_TO_WRITE(address) __builtin_prefetch(address, 1)
#else
#define KVBACKUP_DETAIL_COLD
#define KVBACKUP_DETAIL_ALWAYS_INLINE inline
#define KVBACKUP_DETAIL_TARGET(features)
#define KVBACKUP_DETAIL_PREFETCH_TO_WRITE(address) static_cast<void>(address)
#endif
