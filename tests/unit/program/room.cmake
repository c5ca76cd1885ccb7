# SPDX-License-Identifier: Apache-2.0
# What of the program needs no command line to be tested.
target_sources(${room_target} PRIVATE "${PROJECT_SOURCE_DIR}/tools/kvbackup/metrics.cpp")
target_include_directories(${room_target} PRIVATE "${PROJECT_SOURCE_DIR}/tools/kvbackup")
