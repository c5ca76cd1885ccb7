# SPDX-License-Identifier: Apache-2.0
# A backup of 1 GiB.
add_test(NAME unit.restore_full COMMAND ${room_target} "[full]")
set_tests_properties(unit.restore_full PROPERTIES LABELS full)
