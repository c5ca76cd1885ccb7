// SPDX-License-Identifier: Apache-2.0
// Every allocation by operator new of a program that counted_heap.cpp is linked to.
#pragma once

#include <atomic>
#include <cstddef>

namespace heap {

/// Bytes allocated and not freed yet, as malloc_usable_size has them.
inline std::atomic<std::size_t> live{0};
/// The most that `live` has been since this was last assigned.
inline std::atomic<std::size_t> peak{0};

}  // namespace heap
