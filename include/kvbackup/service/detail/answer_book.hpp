// SPDX-License-Identifier: Apache-2.0
// What a coordinator keeps of the answers: a tree of them for each range that was asked for, and
// the sums over their files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/proto/backup_service.hpp"
#include "kvbackup/service/coordinator_options.hpp"
#include "kvbackup/service/detail/answer_check.hpp"
#include "kvbackup/service/range_tree.hpp"

namespace kvbackup::inline v1::detail {

/// Keys that no answer is for.
struct Gap {
  std::size_t range = 0;  ///< which of the ranges that were asked for
  KeyRange keys;
};

/// Not thread-safe.
class AnswerBook {
 public:
  /// What the answers may take, in bytes: several times what max_backupmeta_size can name.
  static constexpr std::size_t most_memory = 1u << 30;
  /// A node that goes on answering for ever is stopped there.
  static constexpr std::uint64_t most_answers = 1u << 26;

  explicit AnswerBook(const std::vector<KeyRange>& asked) {
    for (const KeyRange& range : asked) ranges_.push_back({range, RangeTree()});
  }

  /// Takes an answer that check_answer() found to be one. Gives the files that it put out.
  /// Errors: corruption if a file of it is one of another answer's; resource_exhausted.
  [[nodiscard]] Status add(std::size_t range, BackupResponse answer, std::vector<File>& put_out) {
    if (++answers_seen_ > most_answers || memory_ > most_memory) return too_much();
    RangeTree& tree = ranges_[range].tree;
    std::vector<std::string_view> freed;
    tree.visit_overlapping(answer.start_key, answer.end_key, [&](const std::vector<File>& files) {
      for (const File& file : files) {
        names_.erase(file.name);
        freed.push_back(file.name);
      }
    });
    for (const File& file : answer.files) {
      if (names_.insert(file.name).second) continue;
      Status status = bad_file(file, "is named twice: it is one of another answer too")
                          .with_range(answer.start_key, answer.end_key);
      for (const File* each = answer.files.data(); each != &file; ++each) names_.erase(each->name);
      names_.insert(freed.begin(), freed.end());
      return status;
    }
    ++answers_taken_;
    count(answer);
    // the files stay where they are in memory, so the names do
    for (AnsweredRange& old : tree.insert(
             {std::move(answer.start_key), std::move(answer.end_key), std::move(answer.files)})) {
      discount(old);
      for (File& file : old.files) {
        if (!names_.contains(file.name)) put_out.push_back(std::move(file));
      }
    }
    return {};
  }

  [[nodiscard]] std::vector<Gap> gaps() const {
    std::vector<Gap> all;
    for (std::size_t i = 0; i < ranges_.size(); ++i) {
      for (KeyRange& keys : ranges_[i].tree.gaps(ranges_[i].asked)) {
        all.push_back({i, std::move(keys)});
      }
    }
    return all;
  }

  /// Answers that were taken, those put out since too.
  [[nodiscard]] std::uint64_t answers_taken() const { return answers_taken_; }
  [[nodiscard]] bool is_live(std::string_view name) const { return names_.contains(name); }

  /// answers, files and the sums over them.
  void put_sums(CoordinatorProgress& to) const {
    to.answers = sums_.answers;
    to.files = sums_.files;
    to.kvs = sums_.kvs;
    to.bytes = sums_.bytes;
    to.stored_bytes = sums_.stored_bytes;
  }

  /// The answers for a range, in key order. Call it once, when nothing is added any more.
  [[nodiscard]] std::vector<AnsweredRange> take(std::size_t range) {
    names_.clear();
    return ranges_[range].tree.take();
  }

 private:
  struct AskedRange {
    KeyRange asked;
    RangeTree tree;
  };

  static Status too_much() {
    return Status::error(StatusCode::resource_exhausted,
                         "the nodes give more answers than this library keeps; ask for fewer keys "
                         "at once");
  }

  void count(const BackupResponse& answer) {
    memory_ += sizeof(BackupResponse) + answer.start_key.size() + answer.end_key.size();
    ++sums_.answers;
    for (const File& file : answer.files) {
      memory_ += size_in_memory(file);
      ++sums_.files;
      sums_.kvs += file.total_kvs;
      sums_.bytes += file.total_bytes;
      sums_.stored_bytes += file.size;
    }
  }
  void discount(const AnsweredRange& answer) {
    memory_ -= sizeof(BackupResponse) + answer.start.size() + answer.end.size();
    --sums_.answers;
    for (const File& file : answer.files) {
      memory_ -= size_in_memory(file);
      --sums_.files;
      sums_.kvs -= file.total_kvs;
      sums_.bytes -= file.total_bytes;
      sums_.stored_bytes -= file.size;
    }
  }

  std::vector<AskedRange> ranges_;
  std::set<std::string_view> names_;  // of the files in the trees, which own them
  std::size_t memory_ = 0;
  std::uint64_t answers_seen_ = 0;  // those refused too
  std::uint64_t answers_taken_ = 0;
  CoordinatorProgress sums_;
};

}  // namespace kvbackup::inline v1::detail
