// SPDX-License-Identifier: Apache-2.0
// The XML that object stores answer with: elements, text and entities. Nothing else of XML has a
// meaning here, and a document type definition is refused.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/function_ref.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/utf8.hpp"
#include "kvbackup/net/detail/code_point.hpp"

namespace kvbackup::inline v1 {

namespace detail {

/// Walks a document once. Its memory is that of the text of the elements that are open.
class XmlScanner {
 public:
  using OnElement = FunctionRef<Status(std::string_view path, std::string_view text)>;

  XmlScanner(std::string_view text, OnElement on_element) : rest_(text), on_element_(on_element) {}

  Status run() {
    if (!is_utf8(rest_)) return bad("it is not UTF-8");
    while (!rest_.empty()) {
      const std::size_t open = rest_.find('<');
      if (Status status = take_text(rest_.substr(0, open)); !status.ok()) return status;
      rest_.remove_prefix(open == std::string_view::npos ? rest_.size() : open);
      if (rest_.empty()) break;
      if (Status status = take_markup(); !status.ok()) return status;
    }
    if (!elements_.empty()) return bad("it ends inside an element");
    if (!root_seen_) return bad("it has no element");
    return {};
  }

 private:
  // No answer nests deeper than six; what nests deeper is no answer.
  static constexpr std::size_t deepest = 32;
  static constexpr std::size_t longest_name = 128;

  struct Element {
    std::string_view name;        // as it is spelled, with its prefix
    std::size_t parent_size = 0;  // of path_ without it
    std::string text;
  };

  KVBACKUP_DETAIL_COLD static Status bad(const char* why) {
    std::string message = "the server's answer is no XML that can be read: ";
    message += why;
    return Status::error(StatusCode::corruption, std::move(message));
  }

  Status take_markup() {
    if (rest_.starts_with("<!--")) return skip_past("-->", 4);
    if (rest_.starts_with("<?")) return skip_past("?>", 2);
    if (rest_.starts_with("<![CDATA[")) return take_cdata();
    if (rest_.starts_with("<!")) return bad("it holds a document type definition");
    return rest_.starts_with("</") ? take_end() : take_start();
  }

  Status skip_past(std::string_view mark, std::size_t from) {
    const std::size_t at = rest_.find(mark, from);
    if (at == std::string_view::npos) return bad("it is cut off");
    rest_.remove_prefix(at + mark.size());
    return {};
  }

  Status take_cdata() {
    constexpr std::size_t begin = 9;
    const std::size_t end = rest_.find("]]>", begin);
    if (end == std::string_view::npos) return bad("it is cut off");
    if (elements_.empty()) return bad("it has text outside of its root");
    elements_.back().text += rest_.substr(begin, end - begin);
    rest_.remove_prefix(end + 3);
    return {};
  }

  /// The end of a tag, past attributes whose values may hold '>'; npos if it is cut off.
  [[nodiscard]] std::size_t tag_end() const {
    char quote = '\0';
    for (std::size_t i = 1; i < rest_.size(); ++i) {
      const char c = rest_[i];
      if (quote != '\0') {
        if (c == quote) quote = '\0';
      } else if (c == '"' || c == '\'') {
        quote = c;
      } else if (c == '>') {
        return i;
      } else if (c == '<') {
        return std::string_view::npos;
      }
    }
    return std::string_view::npos;
  }

  Status take_start() {
    const std::size_t end = tag_end();
    if (end == std::string_view::npos) return bad("a tag is cut off");
    std::string_view tag = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    const bool empty = tag.ends_with('/');
    if (empty) tag.remove_suffix(1);
    const std::string_view name = tag.substr(0, tag.find_first_of(" \t\r\n"));
    if (name.empty() || name.size() > longest_name) return bad("an element has no proper name");
    if (elements_.empty() && root_seen_) return bad("it has two roots");
    if (elements_.size() == deepest) return bad("its elements nest too deeply");
    root_seen_ = true;
    elements_.push_back({name, path_.size(), {}});
    if (!path_.empty()) path_ += '/';
    path_ += name.substr(name.find(':') + 1);  // npos + 1 is 0
    return empty ? close() : Status();
  }

  Status take_end() {
    const std::size_t end = rest_.find('>');
    if (end == std::string_view::npos) return bad("a tag is cut off");
    std::string_view name = rest_.substr(2, end - 2);
    name = name.substr(0, name.find_first_of(" \t\r\n"));
    rest_.remove_prefix(end + 1);
    if (elements_.empty() || elements_.back().name != name) {
      return bad("an end tag has no start tag");
    }
    return close();
  }

  Status close() {
    const Element element = std::move(elements_.back());
    elements_.pop_back();
    Status status = on_element_(path_, element.text);
    path_.resize(element.parent_size);
    return status;
  }

  Status take_text(std::string_view text) {
    if (elements_.empty()) {
      if (text.find_first_not_of(" \t\r\n\xef\xbb\xbf") == std::string_view::npos) return {};
      return bad("it has text outside of its root");
    }
    std::string& out = elements_.back().text;
    while (true) {
      const std::size_t mark = text.find('&');
      out += text.substr(0, mark);
      if (mark == std::string_view::npos) return {};
      text.remove_prefix(mark + 1);
      const std::size_t end = text.substr(0, 12).find(';');
      if (end == std::string_view::npos || !append_entity(out, text.substr(0, end))) {
        return bad("it holds an unknown entity");
      }
      text.remove_prefix(end + 1);
    }
  }

  static bool append_entity(std::string& out, std::string_view name) {
    constexpr std::pair<std::string_view, char> known[] = {
        {"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"apos", '\''}};
    for (const auto& [entity, c] : known) {
      if (entity != name) continue;
      out += c;
      return true;
    }
    if (!name.starts_with('#')) return false;
    const bool hex = name.starts_with("#x");
    const std::string_view digits = name.substr(hex ? 2 : 1);
    std::uint32_t point = 0;
    const char* end = digits.data() + digits.size();
    const auto [rest, failed] = std::from_chars(digits.data(), end, point, hex ? 16 : 10);
    // XML has no zero
    return failed == std::errc() && rest == end && point != 0 && append_code_point(out, point);
  }

  std::string_view rest_;
  OnElement on_element_;
  std::vector<Element> elements_;
  std::string path_;
  bool root_seen_ = false;
};

}  // namespace detail

/// Calls `on_element(path, text)` at the end of each element: its local names from the root joined
/// by '/' ("ListBucketResult/Contents/Key"), and its own text. Both views die with the call.
/// Attributes, comments and processing instructions are skipped. Errors: the first that on_element
/// gives; corruption for what is no such document. The size of `text` is the caller's to bound.
[[nodiscard]] inline Status scan_xml(
    std::string_view text,
    FunctionRef<Status(std::string_view path, std::string_view text)> on_element) {
  return detail::XmlScanner(text, on_element).run();
}

/// `text` as the content of an XML element.
[[nodiscard]] inline std::string xml_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

}  // namespace kvbackup::inline v1
