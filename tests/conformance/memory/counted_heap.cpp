// SPDX-License-Identifier: Apache-2.0
#include "counted_heap.hpp"

#include <cstdlib>
#include <malloc.h>
#include <new>

namespace {

void* counted(std::size_t size) {
  void* const p = std::malloc(size == 0 ? 1 : size);
  if (p == nullptr) std::abort();
  const std::size_t now = heap::live.fetch_add(malloc_usable_size(p)) + malloc_usable_size(p);
  std::size_t seen = heap::peak.load();
  while (now > seen && !heap::peak.compare_exchange_weak(seen, now)) {
  }
  return p;
}

void forget(void* p) noexcept {
  if (p != nullptr) heap::live.fetch_sub(malloc_usable_size(p));
  std::free(p);
}

}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* p) noexcept { forget(p); }
void operator delete[](void* p) noexcept { forget(p); }
void operator delete(void* p, std::size_t) noexcept { forget(p); }
void operator delete[](void* p, std::size_t) noexcept { forget(p); }
