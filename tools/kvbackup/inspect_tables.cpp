// SPDX-License-Identifier: Apache-2.0
#include "inspect_tables.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>

#include "storage.hpp"

namespace program {

using namespace kvbackup;

namespace {

using Table = TableReader<ObjectFile<BuiltBackends>, BuiltDecoders>;

Result<Table> open_table(BuiltBackends& backend, const File& file) {
  auto table = Table::open(ObjectFile<BuiltBackends>(backend, file.name, file.size));
  if (table.ok()) return table;
  return std::move(table).status().with_object(file.name);
}

std::string checksum_text(ChecksumKind kind) {
  switch (kind) {
    case ChecksumKind::none: return "none";
    case ChecksumKind::crc32c: return "crc32c";
    case ChecksumKind::xxhash: return "xxhash32";
    case ChecksumKind::xxhash64: return "xxhash64";
    case ChecksumKind::xxh3: return "xxh3";
  }
  return "?";
}

unsigned long long wide(std::uint64_t number) { return number; }

Status measure_file(BuiltBackends& backend, const Manifest& manifest, const File& file,
                    SizeHistograms& sizes) {
  constexpr std::uint64_t entries_between_looks = 1024;
  const auto table = open_table(backend, file);
  if (!table.ok()) return table.status();
  const std::size_t prefix = manifest.info ? manifest.info->key_prefix.size() : 1;
  std::uint64_t entries = 0;
  std::uint64_t block = UINT64_MAX;
  auto at = table.value().entries();
  for (; at.valid(); at.next()) {
    sizes.keys.add(at.key().size() - std::min(prefix, at.key().size()));
    sizes.values.add(at.value().size());
    if (at.block().offset != block) sizes.blocks.add(at.block().size);
    block = at.block().offset;
    if (++entries % entries_between_looks != 0) continue;
    if (Status status = check_cancel(&cancel_token()); !status.ok()) return status;
  }
  return at.status();
}

}  // namespace

void Histogram::add(std::uint64_t number) {
  ++counts_[static_cast<std::size_t>(std::bit_width(number))];
  ++count_;
  least_ = std::min(least_, number);
  most_ = std::max(most_, number);
  sum_ += static_cast<double>(number);
}

std::vector<Histogram::Bucket> Histogram::buckets() const {
  std::vector<Bucket> out;
  if (count_ == 0) return out;
  const auto last = static_cast<std::size_t>(std::bit_width(most_));
  for (auto i = static_cast<std::size_t>(std::bit_width(least_)); i <= last; ++i) {
    const std::uint64_t from = i == 0 ? 0 : 1ull << (i - 1);
    out.push_back({from, i == 64 ? 0 : 1ull << i, counts_[i]});
  }
  return out;
}

std::string Histogram::text(std::string_view title, std::string_view unit) const {
  constexpr std::size_t widest = 40;
  std::string out(title);
  if (count_ == 0) return out + ": none\n";
  char line[160];
  std::snprintf(line, sizeof line, ": %llu, least %llu, mean %.1f, most %llu %.*s\n", wide(count_),
                wide(least_), sum_ / static_cast<double>(count_), wide(most_),
                static_cast<int>(unit.size()), unit.data());
  out += line;
  std::uint64_t tallest = 1;
  for (const Bucket& bucket : buckets()) tallest = std::max(tallest, bucket.count);
  for (const Bucket& bucket : buckets()) {
    const double share = static_cast<double>(bucket.count) / static_cast<double>(count_);
    const double height = static_cast<double>(bucket.count) / static_cast<double>(tallest);
    auto length = static_cast<std::size_t>(height * static_cast<double>(widest) + 0.5);
    if (bucket.count != 0) length = std::max<std::size_t>(length, 1);
    std::snprintf(line, sizeof line, "  %10llu .. %-10llu %12llu %5.1f%% %s\n", wide(bucket.from),
                  wide(bucket.below - 1), wide(bucket.count), share * 100,
                  std::string(length, '#').c_str());
    out += line;
  }
  return out;
}

std::string Histogram::json() const {
  std::string list;
  for (const Bucket& bucket : buckets()) {
    JsonObject object;
    object.add("from", bucket.from).add("below", bucket.below).add("count", bucket.count);
    list += (list.empty() ? "" : ", ") + object.text();
  }
  JsonObject root;
  root.add("count", count_).add("min", count_ == 0 ? 0 : least_).add("max", most_);
  root.add("mean", count_ == 0 ? 0.0 : sum_ / static_cast<double>(count_));
  return root.add_json("buckets", "[" + list + "]").text();
}

double TableSummary::ratio() const {
  // the 8 bytes of each entry's number and type are not of the key
  const std::uint64_t keys =
      properties.raw_key_size - std::min(properties.raw_key_size, 8 * properties.num_entries);
  if (properties.data_size == 0) return 0;
  return static_cast<double>(keys + properties.raw_value_size) /
         static_cast<double>(properties.data_size);
}

std::vector<TableSummary> summarize_tables(BuiltBackends& backend, const Manifest& manifest) {
  const std::vector<File>& files = manifest.meta.files;
  std::vector<TableSummary> out(files.size());
  at_once(files.size(), [&](std::size_t i) {
    const auto table = open_table(backend, files[i]);
    if (table.ok()) {
      out[i].properties = table.value().properties();
      out[i].format_version = table.value().format_version();
      out[i].checksum = table.value().checksum_kind();
    } else {
      out[i].status = table.status();
    }
  });
  return out;
}

Result<SizeHistograms> measure_sizes(BuiltBackends& backend, const Manifest& manifest) {
  SizeHistograms sizes;
  for (const File& file : manifest.meta.files) {
    if (Status status = measure_file(backend, manifest, file, sizes); !status.ok()) return status;
  }
  return sizes;
}

void print_tables(const BackupMeta& meta, const std::vector<TableSummary>& tables) {
  std::printf("\n%12s %10s %12s %10s %10s %6s %3s %-9s %-14s %s\n", "entries", "blocks", "data",
              "index", "filter", "ratio", "fv", "checksum", "compression", "name");
  for (std::size_t i = 0; i < tables.size(); ++i) {
    const TableSummary& table = tables[i];
    const std::string name = printable(meta.files[i].name);
    if (!table.status.ok()) {
      std::printf("%s: %s\n", name.c_str(), printable(table.status.to_string()).c_str());
      continue;
    }
    const TableProperties& properties = table.properties;
    std::printf("%12llu %10llu %12llu %10llu %10llu %6.2f %3u %-9s %-14s %s\n",
                wide(properties.num_entries), wide(properties.num_data_blocks),
                wide(properties.data_size), wide(properties.index_size),
                wide(properties.filter_size), table.ratio(), table.format_version,
                checksum_text(table.checksum).c_str(), printable(properties.compression).c_str(),
                name.c_str());
  }
}

std::string tables_json(const BackupMeta& meta, const std::vector<TableSummary>& tables) {
  std::string list;
  for (std::size_t i = 0; i < tables.size(); ++i) {
    const TableSummary& table = tables[i];
    const TableProperties& properties = table.properties;
    JsonObject object;
    object.add("name", meta.files[i].name);
    if (!table.status.ok()) {
      object.add("error", table.status.to_string());
    } else {
      object.add("format_version", std::uint64_t{table.format_version});
      object.add("checksum", checksum_text(table.checksum));
      object.add("compression", properties.compression);
      object.add("entries", properties.num_entries).add("blocks", properties.num_data_blocks);
      object.add("data_size", properties.data_size).add("index_size", properties.index_size);
      object.add("filter_size", properties.filter_size);
      object.add("raw_key_size", properties.raw_key_size);
      object.add("raw_value_size", properties.raw_value_size);
      object.add("filter_policy", properties.filter_policy);
      object.add("compression_ratio", table.ratio());
    }
    list += (list.empty() ? "" : ", ") + object.text();
  }
  return "[" + list + "]";
}

}  // namespace program
