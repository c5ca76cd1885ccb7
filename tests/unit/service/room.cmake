# SPDX-License-Identifier: Apache-2.0
set_tests_properties(unit.service PROPERTIES LABELS threads)
# Its files name their helpers alike.
set_target_properties(${room_target} PROPERTIES UNITY_BUILD OFF)
