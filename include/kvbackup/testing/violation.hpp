// SPDX-License-Identifier: Apache-2.0
// The conformance kit: what every check_* of this folder reports. No test framework is needed; a
// host's test asserts that the list is empty and prints it if not.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace kvbackup::inline v1::testing {

/// One law of a contract that a model breaks.
struct Violation {
  std::string law;     ///< the law, as a sentence; the same text for every breach of it
  std::string detail;  ///< the input and what came out of it
};

/// The laws a model broke, in the order they were found; empty means that it kept all of them.
using Violations = std::vector<Violation>;

/// Adds one; a function of its own, since g++ 12 warns of an overrun where it is inlined.
[[gnu::cold, gnu::noinline]] inline void add_violation(Violations& found, std::string law,
                                                       std::string detail) {
  Violation violation;
  violation.law = std::move(law);
  violation.detail = std::move(detail);
  found.push_back(std::move(violation));
}

/// The violations as lines "law: detail".
[[nodiscard]] inline std::string to_string(const Violations& violations) {
  std::string out;
  for (const Violation& violation : violations) {
    out += violation.law;
    out += ": ";
    out += violation.detail;
    out += '\n';
  }
  return out;
}

}  // namespace kvbackup::inline v1::testing
