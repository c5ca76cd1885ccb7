// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <kvbackup/kvbackup.hpp>

namespace program {

/// --gc-safe-point: the safe point that the operator names.
class NamedSafePoint final : public kvbackup::MvccHost {
 public:
  explicit NamedSafePoint(std::uint64_t safe_point) : safe_point_(safe_point) {}
  kvbackup::Result<std::uint64_t> gc_safe_point() override { return safe_point_; }

 private:
  std::uint64_t safe_point_;
};

}  // namespace program
