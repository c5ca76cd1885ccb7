# SPDX-License-Identifier: Apache-2.0
# Its files name their helpers alike.
set_target_properties(${room_target} PROPERTIES UNITY_BUILD OFF)
