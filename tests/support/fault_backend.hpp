// SPDX-License-Identifier: Apache-2.0
// A backend that fails when it is told to.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

namespace test_support {

/// `answer` is that of a commit that was done: only who asked for it does not learn so. `any` are
/// all the others together.
enum class Operation : std::size_t {
  create,
  append,
  commit,
  answer,
  read,
  list,
  exists,
  remove,
  any
};

/// Passes everything on to a `B`, but answers `times` calls of one operation with a Status, from
/// its call number `at` on (from 1; 0 is none). Copies share the counters, so a test keeps one.
/// Thread-safe.
template <kvbackup::ReadableBackend B>
class FaultBackend {
  struct State {
    Operation operation;
    std::uint64_t at;
    std::uint64_t times;
    kvbackup::Status status;
    std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(Operation::any) + 1> calls{};
    std::atomic<bool> fired{false};

    // The status to answer with, or ok.
    kvbackup::Status call(Operation called) {
      const std::uint64_t own = ++calls[static_cast<std::size_t>(called)];
      std::uint64_t number = own;
      if (called != Operation::answer) {
        const std::uint64_t all = ++calls[static_cast<std::size_t>(Operation::any)];
        if (operation == Operation::any) number = all;
      }
      const bool asked =
          called == operation || (operation == Operation::any && called != Operation::answer);
      if (!asked || at == 0 || number < at || number - at >= times) return {};
      fired = true;
      return status;
    }
  };

 public:
  class Writer {
   public:
    Writer(kvbackup::WriterOf<B> inner, std::shared_ptr<State> state)
        : inner_(std::move(inner)), state_(std::move(state)) {}

    kvbackup::Status append(kvbackup::ByteView bytes) {
      if (!failure_.ok()) return failure_;
      failure_ = state_->call(Operation::append);
      if (!failure_.ok()) {
        inner_.abandon();
        return failure_;
      }
      return inner_.append(bytes);
    }
    kvbackup::Result<kvbackup::ObjectInfo> commit() {
      if (!failure_.ok()) return failure_;
      failure_ = state_->call(Operation::commit);
      if (!failure_.ok()) {
        inner_.abandon();
        return failure_;
      }
      auto committed = inner_.commit();
      if (!committed.ok()) return committed;
      failure_ = state_->call(Operation::answer);
      if (!failure_.ok()) return failure_;
      return committed;
    }
    void abandon() { inner_.abandon(); }

   private:
    kvbackup::WriterOf<B> inner_;
    std::shared_ptr<State> state_;
    kvbackup::Status failure_;
  };

  FaultBackend(B inner, Operation operation, std::uint64_t at,
               kvbackup::Status status = kvbackup::Status::error(kvbackup::StatusCode::io_error,
                                                                 "injected fault"),
               std::uint64_t times = 1)
      : inner_(std::move(inner)), state_(std::make_shared<State>()) {
    state_->operation = operation;
    state_->at = at;
    state_->times = times;
    state_->status = std::move(status);
  }

  /// Calls so far.
  [[nodiscard]] std::uint64_t calls(Operation operation) const {
    return state_->calls[static_cast<std::size_t>(operation)];
  }
  /// Whether the fault has happened.
  [[nodiscard]] bool fired() const { return state_->fired; }
  [[nodiscard]] B& inner() { return inner_; }

  kvbackup::Result<Writer> create(std::string_view name, kvbackup::CreateOptions options = {}) {
    if (auto status = state_->call(Operation::create); !status.ok()) return status;
    auto writer = inner_.create(name, options);
    if (!writer.ok()) return std::move(writer).status();
    return Writer(std::move(writer).value(), state_);
  }
  [[nodiscard]] std::string url() const { return inner_.url(); }
  [[nodiscard]] bool keeps_objects() const { return kvbackup::keeps_objects(inner_); }

  kvbackup::Result<std::string> read(std::string_view name) {
    if (auto status = state_->call(Operation::read); !status.ok()) return status;
    return inner_.read(name);
  }
  kvbackup::Result<std::string> read_range(std::string_view name, std::uint64_t offset,
                                           std::uint64_t length) {
    if (auto status = state_->call(Operation::read); !status.ok()) return status;
    return inner_.read_range(name, offset, length);
  }
  kvbackup::Result<std::vector<kvbackup::ObjectInfo>> list(std::string_view prefix) {
    if (auto status = state_->call(Operation::list); !status.ok()) return status;
    return inner_.list(prefix);
  }
  kvbackup::Result<bool> exists(std::string_view name) {
    if (auto status = state_->call(Operation::exists); !status.ok()) return status;
    return inner_.exists(name);
  }
  kvbackup::Status remove(std::string_view name) {
    if (auto status = state_->call(Operation::remove); !status.ok()) return status;
    return inner_.remove(name);
  }

 private:
  B inner_;
  std::shared_ptr<State> state_;
};
static_assert(kvbackup::ReadableBackend<FaultBackend<kvbackup::MemoryBackend>>);

}  // namespace test_support
