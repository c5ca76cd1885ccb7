# SPDX-License-Identifier: Apache-2.0
# The components: one target each, which sets a macro and links a library. This file serves the
# source tree and, installed beside kvbackupConfig.cmake, the hosts that use find_package.

# Every component: its macro is KVBACKUP_WITH_<NAME>.
set(kvbackup_component_names lz4 snappy zstd xxhash openssl curl rapidjson lmdb rocksdb leveldb grpc)

# What each one needs. header and library are looked up where pkg-config says, then in the usual
# places, so that a machine without pkg-config works too. module is left out where the library
# installs no pkg-config file. target: the first of them that the host has already is taken as it
# is. with: further libraries that the headers call directly.
set(kvbackup_lz4_needs       header lz4.h library lz4 module liblz4 package liblz4-dev target LZ4::lz4)
set(kvbackup_snappy_needs    header snappy.h library snappy module snappy package libsnappy-dev
                             target Snappy::snappy)
set(kvbackup_zstd_needs      header zstd.h library zstd module libzstd package libzstd-dev
                             target zstd::libzstd)
set(kvbackup_xxhash_needs    header xxhash.h library xxhash module libxxhash package libxxhash-dev
                             target xxHash::xxhash)
set(kvbackup_openssl_needs   header openssl/evp.h library crypto module libcrypto package libssl-dev
                             target OpenSSL::Crypto)
set(kvbackup_curl_needs      header curl/curl.h library curl module libcurl package libcurl4-openssl-dev
                             target CURL::libcurl)
set(kvbackup_rapidjson_needs header rapidjson/rapidjson.h module RapidJSON package rapidjson-dev
                             target rapidjson)
set(kvbackup_lmdb_needs      header lmdb.h library lmdb module lmdb package liblmdb-dev
                             target lmdb::lmdb)
set(kvbackup_rocksdb_needs   header rocksdb/db.h library rocksdb module rocksdb
                             package librocksdb-dev target RocksDB::rocksdb-shared RocksDB::rocksdb)
set(kvbackup_leveldb_needs   header leveldb/db.h library leveldb package libleveldb-dev
                             target leveldb::leveldb)
set(kvbackup_grpc_needs      header grpcpp/grpcpp.h library grpc++ module grpc++
                             package libgrpc++-dev target gRPC::grpc++
                             with grpc gpr absl_synchronization)

# kvbackup_find_library(<name> <result variable>): the target of a component's library, or "".
function(kvbackup_find_library name result)
  cmake_parse_arguments(need "" "header;library;module;package" "target;with"
                        ${kvbackup_${name}_needs})
  set(found kvbackup::${name}_library)
  foreach(target IN LISTS need_target)
    if(TARGET ${target})
      set(found ${target})
      break()
    endif()
  endforeach()
  if(NOT TARGET ${found})
    find_package(PkgConfig QUIET)
    if(PkgConfig_FOUND AND need_module)
      pkg_check_modules(kvbackup_pc_${name} QUIET ${need_module})
    endif()
    find_path(KVBACKUP_${name}_INCLUDE_DIR ${need_header} HINTS ${kvbackup_pc_${name}_INCLUDE_DIRS})
    mark_as_advanced(KVBACKUP_${name}_INCLUDE_DIR)
    set(files ${KVBACKUP_${name}_INCLUDE_DIR})
    if(need_library)
      find_library(KVBACKUP_${name}_LIBRARY ${need_library}
                   HINTS ${kvbackup_pc_${name}_LIBRARY_DIRS})
      mark_as_advanced(KVBACKUP_${name}_LIBRARY)
      list(APPEND files ${KVBACKUP_${name}_LIBRARY})
    endif()
    foreach(further IN LISTS need_with)
      find_library(KVBACKUP_${name}_${further}_LIBRARY ${further}
                   HINTS ${kvbackup_pc_${name}_LIBRARY_DIRS})
      mark_as_advanced(KVBACKUP_${name}_${further}_LIBRARY)
      list(APPEND files ${KVBACKUP_${name}_${further}_LIBRARY})
    endforeach()
    if("${files}" MATCHES "NOTFOUND")
      set(found "")
    else()
      add_library(${found} INTERFACE IMPORTED GLOBAL)
      target_include_directories(${found} INTERFACE "${KVBACKUP_${name}_INCLUDE_DIR}")
      if(need_library)
        target_link_libraries(${found} INTERFACE "${KVBACKUP_${name}_LIBRARY}")
      endif()
      foreach(further IN LISTS need_with)
        target_link_libraries(${found} INTERFACE "${KVBACKUP_${name}_${further}_LIBRARY}")
      endforeach()
    endif()
  endif()
  set(${result} "${found}" PARENT_SCOPE)
endfunction()

# kvbackup_define_components(<name>...): kvbackup::<name> for each whose library is found, and
# kvbackup::all where every component is there. Names the others in kvbackup_missing, each with its
# Debian package.
macro(kvbackup_define_components)
  set(kvbackup_missing "")
  foreach(kvbackup_name IN ITEMS ${ARGN})
    if(NOT TARGET kvbackup::${kvbackup_name})
      kvbackup_find_library(${kvbackup_name} kvbackup_found)
      if(kvbackup_found)
        string(TOUPPER ${kvbackup_name} kvbackup_upper)
        add_library(kvbackup::${kvbackup_name} INTERFACE IMPORTED GLOBAL)
        target_link_libraries(kvbackup::${kvbackup_name} INTERFACE
          kvbackup::kvbackup ${kvbackup_found})
        target_compile_definitions(kvbackup::${kvbackup_name} INTERFACE
          KVBACKUP_WITH_${kvbackup_upper}=1)
      else()
        cmake_parse_arguments(kvbackup_need "" "package" "" ${kvbackup_${kvbackup_name}_needs})
        list(APPEND kvbackup_missing "${kvbackup_name} (Debian: ${kvbackup_need_package})")
      endif()
    endif()
  endforeach()
  list(JOIN kvbackup_missing ", " kvbackup_missing)
  list(TRANSFORM kvbackup_component_names PREPEND kvbackup:: OUTPUT_VARIABLE kvbackup_all_targets)
  set(kvbackup_has_all TRUE)
  foreach(kvbackup_target IN LISTS kvbackup_all_targets)
    if(NOT TARGET ${kvbackup_target})
      set(kvbackup_has_all FALSE)
    endif()
  endforeach()
  if(kvbackup_has_all AND NOT TARGET kvbackup::all)
    add_library(kvbackup::all INTERFACE IMPORTED GLOBAL)
    target_link_libraries(kvbackup::all INTERFACE ${kvbackup_all_targets})
  endif()
endmacro()
