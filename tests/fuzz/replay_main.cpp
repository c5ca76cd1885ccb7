// SPDX-License-Identifier: Apache-2.0
// replay_main [--runs=N] FILE_OR_FOLDER...
//
// Runs a fuzz target over the files and over N inputs made of them by cheap mutations. The
// mutations depend on the files only, so a failure comes back: it prints the input that was
// running.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <unistd.h>
#include <vector>

#include "fuzz/fuzz_target.hpp"

namespace {

struct Seed {
  std::string path;
  std::string bytes;
};

// What runs now, for the handler: it may only read.
const char* current_path = "";
std::size_t current_round = 0;
const std::string* current_bytes = nullptr;

// SplitMix64 (Steele, Lea and Flood, 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::size_t below(std::size_t n) {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return static_cast<std::size_t>((z ^ z >> 31) % n);
  }

 private:
  std::uint64_t state_;
};

void mutate_once(std::string& bytes, const std::string& other, Random& random) {
  static constexpr unsigned char edges[] = {0x00, 0x01, 0x7f, 0x80, 0x81, 0xfe, 0xff};
  const std::size_t at = random.below(bytes.size() + 1);
  const std::size_t length = 1 + random.below(std::min<std::size_t>(bytes.size() + 1, 64));
  switch (random.below(7)) {
    case 0:
      if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ 1 << random.below(8));
      return;
    case 1:
      if (at < bytes.size()) bytes[at] = static_cast<char>(edges[random.below(std::size(edges))]);
      return;
    case 2: bytes.resize(at); return;
    case 3: bytes.erase(at, length); return;
    case 4:
      bytes.insert(at, length, static_cast<char>(edges[random.below(std::size(edges))]));
      return;
    case 5: bytes.insert(at, bytes.substr(random.below(bytes.size() + 1), length)); return;
    default:
      bytes.replace(at, length, other.substr(random.below(other.size() + 1), length));
      return;
  }
}

void run(const std::string& bytes) {
  current_bytes = &bytes;
  // A copy of exactly this size, so that a read past the end is one past an allocation.
  const std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(copy.data(), copy.size());
  current_bytes = nullptr;
}

// Writes what ran to a file, as far as a signal handler may.
void on_abort(int) {
  std::fprintf(stderr, "replay: %s, mutation %zu\n", current_path, current_round);
  if (current_bytes != nullptr) {
    if (std::FILE* file = std::fopen("replay-failure.bin", "wb"); file != nullptr) {
      std::fwrite(current_bytes->data(), 1, current_bytes->size(), file);
      std::fclose(file);
      std::fprintf(stderr, "replay: the input is in replay-failure.bin\n");
    }
  }
}

void take_file(std::vector<Seed>& seeds, const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  seeds.push_back({path.string(), std::string(std::istreambuf_iterator<char>(file),
                                              std::istreambuf_iterator<char>())});
}

bool take_path(std::vector<Seed>& seeds, const char* argument) {
  if (std::filesystem::is_directory(argument)) {
    for (const auto& entry : std::filesystem::directory_iterator(argument)) {
      if (entry.is_regular_file()) take_file(seeds, entry.path());
    }
    return true;
  }
  if (!std::filesystem::is_regular_file(argument)) return false;
  take_file(seeds, argument);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t runs = 0;
  std::vector<Seed> seeds;
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], "--runs=", 7) == 0) {
      runs = std::strtoull(argv[i] + 7, nullptr, 10);
    } else if (!take_path(seeds, argv[i])) {
      std::fprintf(stderr, "replay: there is no file or folder %s\n", argv[i]);
      return 2;
    }
  }
  if (seeds.empty()) {
    std::fprintf(stderr, "replay: no input; give files or folders\n");
    return 2;
  }
  // The order in which a folder is listed must not matter.
  std::sort(seeds.begin(), seeds.end(),
            [](const Seed& a, const Seed& b) { return a.path < b.path; });
  std::signal(SIGABRT, on_abort);
  for (const Seed& seed : seeds) {
    current_path = seed.path.c_str();
    current_round = 0;
    run(seed.bytes);
  }
  Random random(seeds.size());
  for (std::size_t i = 0; i < runs; ++i) {
    const Seed& seed = seeds[i % seeds.size()];
    current_path = seed.path.c_str();
    current_round = i + 1;
    std::string bytes = seed.bytes;
    const std::string& other = seeds[random.below(seeds.size())].bytes;
    for (std::size_t left = 1 + random.below(4); left > 0; --left)
      mutate_once(bytes, other, random);
    run(bytes);
  }
  std::printf("%zu files and %zu mutations of them\n", seeds.size(), runs);
  return 0;
}
