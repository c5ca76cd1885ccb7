// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

/// What one unit's backup gave.
struct UnitResult {
  std::string settings;
  std::string error;
  std::string bytes;  ///< names and contents of every object
};

UnitResult unit_without_libraries();
UnitResult unit_with_all();
UnitResult unit_embedded();
