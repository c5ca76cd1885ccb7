// SPDX-License-Identifier: Apache-2.0
#include "uri.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "program.hpp"

namespace program {

using kvbackup::Result;
using kvbackup::Status;

namespace {

struct Scheme {
  std::string_view name;
  std::vector<std::string_view> parameters;
};

const std::array<Scheme, 5>& schemes() {
  static const std::array<Scheme, 5> known{
      {{"rocksdb", {"cf"}}, {"lmdb", {"db"}}, {"leveldb", {}}, {"sst", {}}, {"tsv", {"format"}}}};
  return known;
}

// Parameters are left out of what is shown: those of other programs' URIs hold credentials.
std::string_view without_parameters(std::string_view uri) { return uri.substr(0, uri.find('?')); }

Status bad_uri(std::string message, std::string_view uri) {
  return usage_error(std::move(message)).with_object(without_parameters(uri));
}

Status parse_parameters(std::string_view text, const Scheme& scheme, StoreUri& uri) {
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    const std::string_view name = item.substr(0, item.find('='));
    if (std::find(scheme.parameters.begin(), scheme.parameters.end(), name) ==
        scheme.parameters.end()) {
      return usage_error("\"" + std::string(name) + "\" is no parameter of " + uri.scheme + ":");
    }
    auto value = kvbackup::percent_decode(
        name.size() == item.size() ? std::string_view() : item.substr(name.size() + 1));
    if (!value) return usage_error("a % must be followed by two hex digits");
    uri.parameters[std::string(name)] = std::move(*value);
  }
  return {};
}

}  // namespace

Result<StoreUri> parse_store_uri(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    return bad_uri("a source or sink is SCHEME:PATH, such as lmdb:/var/db or tsv:-", text);
  }
  StoreUri uri;
  uri.scheme = text.substr(0, colon);
  const auto scheme = std::find_if(schemes().begin(), schemes().end(), [&uri](const Scheme& known) {
    return known.name == uri.scheme;
  });
  if (scheme == schemes().end()) {
    return usage_error(
        "\"" + uri.scheme +
        "\" is no kind of store that this program has; it has rocksdb, lmdb, leveldb, sst and tsv");
  }
  const std::string_view rest = text.substr(colon + 1);
  const std::size_t question = std::min(rest.find('?'), rest.size());
  auto path = kvbackup::percent_decode(rest.substr(0, question));
  if (!path) return bad_uri("a % must be followed by two hex digits", text);
  if (path->empty()) return bad_uri("the path is empty", text);
  uri.path = std::move(*path);
  if (question < rest.size()) {
    Status status = parse_parameters(rest.substr(question + 1), *scheme, uri);
    if (!status.ok()) return std::move(status).with_object(without_parameters(text));
  }
  return uri;
}

}  // namespace program
