# SPDX-License-Identifier: Apache-2.0
target_compile_definitions(${room_target} PRIVATE
  KVBACKUP_GOLDEN_DIR="${CMAKE_CURRENT_SOURCE_DIR}/golden")
find_package(Threads REQUIRED)
target_link_libraries(${room_target} PRIVATE Threads::Threads)
