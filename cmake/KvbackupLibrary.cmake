# SPDX-License-Identifier: Apache-2.0
# The target kvbackup::kvbackup: the headers, with no dependency but the threads of the platform.
include(GNUInstallDirs)
find_package(Threads REQUIRED)

add_library(kvbackup INTERFACE)
add_library(kvbackup::kvbackup ALIAS kvbackup)
target_compile_features(kvbackup INTERFACE cxx_std_20)
target_link_libraries(kvbackup INTERFACE Threads::Threads)

# As a guest in another project our headers do not answer for that project's warning flags.
set(kvbackup_system "")
if(NOT PROJECT_IS_TOP_LEVEL)
  set(kvbackup_system SYSTEM)
endif()
# The single header stands at the front; ext/ and testing/ come from the tree in both forms.
if(KVBACKUP_SINGLE_HEADER)
  target_include_directories(kvbackup ${kvbackup_system} INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/single_include>)
endif()
target_include_directories(kvbackup ${kvbackup_system} INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
