// SPDX-License-Identifier: Apache-2.0
// Times as HTTP, AWS and ISO 8601 spell them. All of them are UTC.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace kvbackup::inline v1 {

namespace detail {
struct CivilTime {
  std::uint64_t year = 1970;
  std::uint64_t month = 1;  // 1 to 12
  std::uint64_t day = 1;
  std::uint64_t hour = 0;
  std::uint64_t minute = 0;
  std::uint64_t second = 0;
};

// In the proleptic Gregorian calendar 400 years have 146097 days. Years are counted from March, so
// that the day a leap year adds is its last.
inline constexpr std::uint64_t days_per_era = 146'097;
inline constexpr std::uint64_t days_to_1970 = 719'468;  // from 0000-03-01

[[nodiscard]] constexpr std::uint64_t days_to_month(std::uint64_t months_from_march) noexcept {
  return (153 * months_from_march + 2) / 5;
}

/// Seconds since 1970 of a time of the years 1970 to 9999; nothing if it is none.
[[nodiscard]] constexpr std::optional<std::uint64_t> to_unix_seconds(const CivilTime& t) noexcept {
  if (t.year < 1970 || t.year > 9999 || t.month < 1 || t.month > 12 || t.day < 1 || t.day > 31 ||
      t.hour > 23 || t.minute > 59 || t.second > 60) {
    return std::nullopt;
  }
  const std::uint64_t year = t.month > 2 ? t.year : t.year - 1;
  const std::uint64_t day_of_year = days_to_month((t.month + 9) % 12) + t.day - 1;
  const std::uint64_t days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
  return (days - days_to_1970) * 86'400 + t.hour * 3'600 + t.minute * 60 + t.second;
}

[[nodiscard]] constexpr CivilTime to_civil(std::uint64_t unix_seconds) noexcept {
  const std::uint64_t days = unix_seconds / 86'400 + days_to_1970;
  const std::uint64_t of_day = unix_seconds % 86'400;
  const std::uint64_t era = days / days_per_era;
  const std::uint64_t of_era = days % days_per_era;
  const std::uint64_t year_of_era =
      (of_era - of_era / 1'460 + of_era / 36'524 - of_era / 146'096) / 365;
  const std::uint64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::uint64_t month = (5 * of_year + 2) / 153;  // from March
  CivilTime t;
  t.month = month < 10 ? month + 3 : month - 9;
  t.year = era * 400 + year_of_era + (t.month <= 2 ? 1 : 0);
  t.day = of_year - days_to_month(month) + 1;
  t.hour = of_day / 3'600;
  t.minute = of_day / 60 % 60;
  t.second = of_day % 60;
  return t;
}

inline void append_digits(std::string& out, std::uint64_t number, std::size_t width) {
  const std::string digits = std::to_string(number);
  if (digits.size() < width) out.append(width - digits.size(), '0');
  out += digits;
}

/// Reads a number of exactly `width` digits from the front of `text`.
[[nodiscard]] inline bool take_digits(std::string_view& text, std::size_t width,
                                      std::uint64_t& number) noexcept {
  if (text.size() < width) return false;
  const auto [rest, failed] = std::from_chars(text.data(), text.data() + width, number);
  if (failed != std::errc() || rest != text.data() + width) return false;
  text.remove_prefix(width);
  return true;
}
[[nodiscard]] inline bool take_text(std::string_view& text, std::string_view expected) noexcept {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}
}  // namespace detail

/// "20130524T000000Z", as x-amz-date has it; its first eight characters are the day.
[[nodiscard]] inline std::string amz_date(std::uint64_t unix_ms) {
  const detail::CivilTime t = detail::to_civil(unix_ms / 1'000);
  std::string out;
  detail::append_digits(out, t.year, 4);
  detail::append_digits(out, t.month, 2);
  detail::append_digits(out, t.day, 2);
  out += 'T';
  detail::append_digits(out, t.hour, 2);
  detail::append_digits(out, t.minute, 2);
  detail::append_digits(out, t.second, 2);
  out += 'Z';
  return out;
}

/// "Fri, 24 May 2013 00:00:00 GMT", the form that RFC 9110 has servers send, as Unix milliseconds.
[[nodiscard]] inline std::optional<std::uint64_t> parse_http_date(std::string_view text) noexcept {
  constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
  detail::CivilTime t;
  const std::size_t comma = text.find(", ");
  if (comma != 3) return std::nullopt;
  text.remove_prefix(5);
  if (!detail::take_digits(text, 2, t.day) || !detail::take_text(text, " ")) return std::nullopt;
  const std::size_t month = months.find(text.substr(0, 3));
  if (month == std::string_view::npos || month % 3 != 0 || text.size() < 3) return std::nullopt;
  t.month = month / 3 + 1;
  text.remove_prefix(3);
  if (!detail::take_text(text, " ") || !detail::take_digits(text, 4, t.year) ||
      !detail::take_text(text, " ") || !detail::take_digits(text, 2, t.hour) ||
      !detail::take_text(text, ":") || !detail::take_digits(text, 2, t.minute) ||
      !detail::take_text(text, ":") || !detail::take_digits(text, 2, t.second) || text != " GMT") {
    return std::nullopt;
  }
  const auto seconds = detail::to_unix_seconds(t);
  if (!seconds) return std::nullopt;
  return *seconds * 1'000;
}

/// "2013-05-24T00:00:00Z", with or without a fraction of a second, as Unix milliseconds.
[[nodiscard]] inline std::optional<std::uint64_t> parse_iso_time(std::string_view text) noexcept {
  detail::CivilTime t;
  if (!detail::take_digits(text, 4, t.year) || !detail::take_text(text, "-") ||
      !detail::take_digits(text, 2, t.month) || !detail::take_text(text, "-") ||
      !detail::take_digits(text, 2, t.day) || !detail::take_text(text, "T") ||
      !detail::take_digits(text, 2, t.hour) || !detail::take_text(text, ":") ||
      !detail::take_digits(text, 2, t.minute) || !detail::take_text(text, ":") ||
      !detail::take_digits(text, 2, t.second)) {
    return std::nullopt;
  }
  if (detail::take_text(text, ".")) {
    const std::size_t end = text.find_first_not_of("0123456789");
    text.remove_prefix(end == std::string_view::npos ? text.size() : end);
  }
  const auto seconds = detail::to_unix_seconds(t);
  if (!seconds || text != "Z") return std::nullopt;
  return *seconds * 1'000;
}

}  // namespace kvbackup::inline v1
