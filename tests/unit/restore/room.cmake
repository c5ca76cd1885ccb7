# SPDX-License-Identifier: Apache-2.0
# A backup of 1 GiB.
add_test(NAME unit.restore_full COMMAND ${room_target} "[full]")
set_tests_properties(unit.restore_full PROPERTIES LABELS full)
# Its files name their helpers alike.
set_target_properties(${room_target} PROPERTIES UNITY_BUILD OFF)
