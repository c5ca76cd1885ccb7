# SPDX-License-Identifier: Apache-2.0
# One INTERFACE target a component: kvbackup::kvbackup needs nothing; each other one sets its macro
# and links its library.
include(GNUInstallDirs)

add_library(kvbackup INTERFACE)
add_library(kvbackup::kvbackup ALIAS kvbackup)
target_compile_features(kvbackup INTERFACE cxx_std_20)
if(KVBACKUP_SINGLE_HEADER)
  target_include_directories(kvbackup INTERFACE
    $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/single_include>)
endif()
target_include_directories(kvbackup INTERFACE
  $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

find_package(PkgConfig QUIET)

# kvbackup_component(<name> <MACRO> <library target>)
function(kvbackup_component name macro library)
  add_library(kvbackup_${name} INTERFACE)
  add_library(kvbackup::${name} ALIAS kvbackup_${name})
  target_link_libraries(kvbackup_${name} INTERFACE kvbackup ${library})
  target_compile_definitions(kvbackup_${name} INTERFACE ${macro}=1)
endfunction()

# kvbackup_pkg_component(<name> <MACRO> <pkg-config module>)
function(kvbackup_pkg_component name macro module)
  if(PkgConfig_FOUND)
    pkg_check_modules(KVBACKUP_${macro} QUIET IMPORTED_TARGET ${module})
  endif()
  if(TARGET PkgConfig::KVBACKUP_${macro})
    kvbackup_component(${name} ${macro} PkgConfig::KVBACKUP_${macro})
  endif()
endfunction()

kvbackup_pkg_component(lz4 KVBACKUP_WITH_LZ4 liblz4)
kvbackup_pkg_component(openssl KVBACKUP_WITH_OPENSSL libcrypto)
kvbackup_pkg_component(rapidjson KVBACKUP_WITH_RAPIDJSON RapidJSON)
kvbackup_pkg_component(lmdb KVBACKUP_WITH_LMDB lmdb)
find_package(Threads QUIET)

add_library(kvbackup_all INTERFACE)
add_library(kvbackup::all ALIAS kvbackup_all)
foreach(component lz4 openssl rapidjson lmdb)
  if(TARGET kvbackup_${component})
    target_link_libraries(kvbackup_all INTERFACE kvbackup_${component})
  endif()
endforeach()
target_link_libraries(kvbackup_all INTERFACE Threads::Threads)
