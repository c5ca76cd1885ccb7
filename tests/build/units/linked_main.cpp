// SPDX-License-Identifier: Apache-2.0
// Units with different settings, linked into one program: each backs up the same store, and the
// bytes are the same whatever a unit was built with.
#include <cstdio>

#include "backup_unit.hpp"

int main() {
  const UnitResult results[] = {unit_without_libraries(), unit_with_all(), unit_embedded()};
  int failures = 0;
  for (const UnitResult& result : results) {
    const bool same = result.bytes == results[0].bytes && !result.bytes.empty();
    std::printf("%s: %zu bytes%s %s\n", result.settings.c_str(), result.bytes.size(),
                same ? "" : ", not the same as the first", result.error.c_str());
    if (!same || !result.error.empty()) ++failures;
  }
  return failures;
}
