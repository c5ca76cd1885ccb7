# SPDX-License-Identifier: Apache-2.0
# Takes the place of libc's functions in the whole program.
set(faults "${CMAKE_CURRENT_SOURCE_DIR}/support/syscall_faults.cpp")
target_sources(${room_target} PRIVATE "${faults}")
set_source_files_properties("${faults}" PROPERTIES
  SKIP_UNITY_BUILD_INCLUSION ON SKIP_PRECOMPILE_HEADERS ON)
target_link_libraries(${room_target} PRIVATE ${CMAKE_DL_LIBS})
# Every operation, where the default is some of them.
add_test(NAME unit.crash_full COMMAND ${room_target} "[full]")
set_tests_properties(unit.crash_full PROPERTIES LABELS full)
