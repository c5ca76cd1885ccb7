// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>

namespace test_support {

using Store = std::map<std::string, std::string>;

/// `count` pairs that are the same on every machine: shared prefixes, 0x00 and 0xff bytes, empty
/// values.
inline Store many_pairs(std::size_t count, std::uint32_t seed = 1) {
  std::mt19937 random(seed);
  Store store;
  while (store.size() < count) {
    std::string key = "user/" + std::to_string(random() % 100) + "/";
    const std::size_t tail = random() % 12;
    for (std::size_t i = 0; i < tail; ++i) key.push_back(static_cast<char>(random()));
    if (random() % 16 == 0) key.append(3, '\xff');
    std::string value(random() % 8 == 0 ? 0 : random() % 60, 'v');
    for (char& c : value) c = static_cast<char>(random() % 4 == 0 ? random() : 'v');
    store.emplace(std::move(key), std::move(value));
  }
  return store;
}

}  // namespace test_support
