// SPDX-License-Identifier: Apache-2.0
// The library's version. CMake reads it from here, so it stands nowhere else.
#pragma once

#define KVBACKUP_VERSION_MAJOR 0
#define KVBACKUP_VERSION_MINOR 1
#define KVBACKUP_VERSION_PATCH 0
#define KVBACKUP_VERSION_STRING "0.1.0"
