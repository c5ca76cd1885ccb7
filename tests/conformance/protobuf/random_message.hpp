// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "oracle.hpp"

namespace oracle {

using Random = std::mt19937;

struct RandomOptions {
  bool bytes = true;  ///< fill `bytes` fields, which JSON spells differently
};

/// Small numbers, large ones, and those at the edges of varints.
std::uint64_t random_bits(Random& random);

/// Up to about a dozen characters of UTF-8, of one to four bytes.
std::string random_text(Random& random);

std::string random_bytes(Random& random);

/// Gives about half of the fields a value, down to a few levels.
void fill(Theirs& message, Random& random, const RandomOptions& options = {}, int depth = 4);

/// The same of ours, through the table.
void fill(const kvbackup::MessageInfo& info, void* ours, Random& random, int depth = 4);

/// One well-formed field with a number that no message of the schema knows, in its shortest form.
std::string random_unknown_field(Random& random, int depth = 3);

}  // namespace oracle
