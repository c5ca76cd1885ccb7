# SPDX-License-Identifier: Apache-2.0
# At -O1 g++ 12 takes the inactive alternatives of AnyBackend's variant for read. At -O2, with which
# the program and the examples are compiled, it does not.
target_compile_options(${room_target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
