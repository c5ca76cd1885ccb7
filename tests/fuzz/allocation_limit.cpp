// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <malloc.h>
#include <new>

#include "fuzz/fuzz_target.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define KVBACKUP_FUZZ_HOOKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KVBACKUP_FUZZ_HOOKS 1
#endif
#endif

#ifdef KVBACKUP_FUZZ_HOOKS
#include <sanitizer/allocator_interface.h>
#endif

namespace {

// Signed: what was allocated before anything was counted may be freed later.
std::atomic<std::int64_t> live{0};
std::atomic<std::int64_t> limit{std::numeric_limits<std::int64_t>::max()};

void took(std::size_t size) {
  const auto grown = static_cast<std::int64_t>(size);
  if (live.fetch_add(grown) + grown <= limit) return;
  std::fprintf(stderr, "the allocation of %zu bytes passes the limit\n", size);
  fuzz::fail("the target takes more memory than an input of this size may cost");
}
void gave(std::size_t size) { live -= static_cast<std::int64_t>(size); }

}  // namespace

#ifdef KVBACKUP_FUZZ_HOOKS
namespace {
[[maybe_unused]] const int hooked = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void*, std::size_t size) { took(size); },
    [](const volatile void* p) {
      if (p != nullptr) gave(__sanitizer_get_allocated_size(p));
    });
}  // namespace
#else
namespace {
void* counted(std::size_t size) {
  void* const p = std::malloc(size == 0 ? 1 : size);
  if (p == nullptr) std::abort();
  took(malloc_usable_size(p));
  return p;
}
void forget(void* p) noexcept {
  if (p != nullptr) gave(malloc_usable_size(p));
  std::free(p);
}
}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* p) noexcept { forget(p); }
void operator delete[](void* p) noexcept { forget(p); }
void operator delete(void* p, std::size_t) noexcept { forget(p); }
void operator delete[](void* p, std::size_t) noexcept { forget(p); }
#endif

namespace fuzz {

void fail(const char* what) {
  limit = std::numeric_limits<std::int64_t>::max();  // the report allocates too
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}

AllocationLimit::AllocationLimit(std::size_t bytes) {
  limit = live + static_cast<std::int64_t>(bytes);
}
AllocationLimit::~AllocationLimit() { limit = std::numeric_limits<std::int64_t>::max(); }

}  // namespace fuzz
