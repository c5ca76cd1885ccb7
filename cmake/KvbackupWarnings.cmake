# SPDX-License-Identifier: Apache-2.0
# What our own headers and programs are held to; linked privately, never exported.
if(NOT TARGET kvbackup_warnings)
  add_library(kvbackup_warnings INTERFACE)
  target_compile_options(kvbackup_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion $<$<BOOL:${KVBACKUP_WERROR}>:-Werror>)
endif()
