// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kvbackup/base/function_ref.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/sst/detail/block_reader.hpp"
#include "kvbackup/sst/detail/index_cursor.hpp"
#include "kvbackup/sst/detail/table_core.hpp"
#include "kvbackup/sst/footer.hpp"
#include "kvbackup/sst/table_iterator.hpp"

namespace kvbackup::inline v1::detail {

struct RoledBlock {
  BlockHandle handle;
  BlockRole role;
};

/// Adds the blocks that an index block of partitions names.
template <class Core>
[[nodiscard]] Status add_partitions(const Core& core, ByteView payload, const BlockHandle& at,
                                    IndexForm form, BlockRole role, std::vector<RoledBlock>& out) {
  IndexCursor cursor;
  Step step = cursor.begin(payload, form);
  // Those that a file has room for; a compressed index can name many more.
  const std::uint64_t most = core.blocks.file_size() / block_trailer_size;
  for (; step == Step::entry && out.size() < most; step = cursor.next()) {
    out.push_back({cursor.handle(), role});
  }
  return step != Step::end ? core.blocks.malformed(BlockRole::index, at) : Status();
}

/// All blocks but those of data, in the order of the file, each once.
template <class Core>
[[nodiscard]] Status other_blocks(const Core& core, typename Core::Worker& worker,
                                  std::vector<RoledBlock>& out) {
  out.push_back({core.blocks.footer().metaindex, BlockRole::meta});
  out.push_back({core.index_handle, BlockRole::index});
  Status status;
  if (core.two_level()) {
    status = add_partitions(core, core.root.payload, core.index_handle, core.index_form,
                            BlockRole::index, out);
  }
  for (const NamedBlock& block : core.named_blocks) {
    if (!status.ok()) return status;
    out.push_back({block.handle, role_of_name(block.name)});
    if (!block.name.starts_with("partitionedfilter.")) continue;
    HeldBlock held;
    status = core.load(block.handle, BlockRole::index, worker.contexts, worker.index_window, false,
                       held);
    if (!status.ok()) return status;
    IndexForm form = core.index_form;
    form.first_keys = false;
    status = add_partitions(core, held.payload, block.handle, form, BlockRole::filter, out);
  }
  const auto by_place = [](const RoledBlock& a, const RoledBlock& b) {
    return a.handle.offset < b.handle.offset;
  };
  const auto same = [](const RoledBlock& a, const RoledBlock& b) { return a.handle == b.handle; };
  std::sort(out.begin(), out.end(), by_place);
  out.erase(std::unique(out.begin(), out.end(), same), out.end());
  return status;
}

/// Proves the checksums of blocks that are given in the order of the file.
template <class Core>
class BlockVerifier {
 public:
  BlockVerifier(const Core& core, std::size_t read_ahead, FunctionRef<Status(std::uint64_t)> step)
      : core_(core), worker_(core), step_(step) {
    worker_.data_window.most_ahead = read_ahead;
  }

  Status verify_data() {
    DataBlockWalker<Core> walker;
    Step at = walker.first(core_, worker_);
    for (; at == Step::entry; at = walker.next(core_, worker_)) {
      Status status = check(walker.handle(), BlockRole::data);
      if (!status.ok()) return status;
    }
    return at == Step::damaged ? walker.status() : Status();
  }
  Status verify_others() {
    std::vector<RoledBlock> others;
    Status status = other_blocks(core_, worker_, others);
    for (const RoledBlock& block : others) {
      if (!status.ok()) return status;
      status = check(block.handle, block.role);
    }
    return status;
  }

 private:
  Status check(const BlockHandle& handle, BlockRole role) {
    if (handle.offset < end_) {
      return core_.blocks.failed(StatusCode::corruption, role, handle,
                                 "overlaps the one before it; the table is damaged, take it from "
                                 "another copy");
    }
    // the properties were proven when the table was opened, with what RocksDB changes in them
    auto stored = role == BlockRole::properties
                      ? core_.blocks.stored(handle, role, worker_.data_window)
                      : core_.blocks.checked(handle, role, worker_.data_window);
    if (!stored.ok()) return std::move(stored).status();
    end_ = handle.offset + handle.size + block_trailer_size;
    return step_(handle.size + block_trailer_size);
  }

  const Core& core_;
  typename Core::Worker worker_;
  FunctionRef<Status(std::uint64_t)> step_;
  std::uint64_t end_ = 0;
};

/// See TableReader::verify_blocks.
template <class Core>
[[nodiscard]] Status verify_blocks(const Core& core, std::size_t read_ahead,
                                   FunctionRef<Status(std::uint64_t)> step) {
  BlockVerifier<Core> verifier(core, read_ahead, step);
  Status status = verifier.verify_data();
  if (!status.ok()) return status;
  return verifier.verify_others();
}

}  // namespace kvbackup::inline v1::detail
