// SPDX-License-Identifier: Apache-2.0
// Verifying a backup and saying what was found; `backup --verify-after` does it, too.
#pragma once

#include <cstdint>
#include <string>

#include <kvbackup/kvbackup.hpp>

#include "program.hpp"

namespace program {

/// What a verification came to; a failed `report` means that nothing is known.
struct Verification {
  kvbackup::Result<kvbackup::VerifyReport> report;
  double seconds = 0;
};

/// Shows its progress on standard error. Executor, cancel token and observer are set here.
[[nodiscard]] Verification verify_storage(kvbackup::BuiltBackends& backend,
                                          kvbackup::VerifyOptions options);

/// done, damage_found or could_not_finish.
[[nodiscard]] ExitCode exit_code_of(const Verification& verification);
/// `root` with all that a JSON result says of it.
JsonObject& add_verification(JsonObject& root, const Verification& verification,
                             const CommonFlags& flags);
/// A line for each finding, and the verdict.
void print_verification(const Verification& verification, const std::string& url,
                        const CommonFlags& flags);

}  // namespace program
