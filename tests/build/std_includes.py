#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Finds headers that name something of the standard library whose header they do not include.

    std_includes.py INCLUDE_DIR               checks the tree
    std_includes.py --self-test INCLUDE_DIR   plants one offence after the other and fails unless
                                              each is reported

An include of another of our headers counts with all that it includes; what one standard header
includes of others does not, for that differs from one library to the next. A compiler cannot tell
these apart, so headers.py leaves the standard library to this text and compiles it only once.
"""
import pathlib
import re
import sys

# header: the names that it gives, without std::. A name that is not here is reported: add it.
GIVES = {
    "algorithm": "adjacent_find all_of any_of binary_search clamp copy copy_n count count_if equal "
                 "equal_range fill fill_n find find_if find_if_not for_each generate includes inplace_merge "
                 "is_sorted lexicographical_compare lower_bound max max_element merge min min_element minmax "
                 "mismatch move none_of nth_element partial_sort partition partition_point remove "
                 "remove_if replace replace_if reverse rotate search set_difference set_intersection set_union sort "
                 "stable_partition stable_sort swap_ranges transform unique upper_bound ranges::all_of "
                 "ranges::any_of ranges::copy ranges::equal ranges::fill ranges::find ranges::find_if "
                 "ranges::is_sorted ranges::lower_bound ranges::none_of ranges::partition_point "
                 "ranges::sort ranges::upper_bound",
    "array": "array to_array get data size begin end",
    "atomic": "atomic atomic_bool atomic_flag atomic_ref atomic_thread_fence memory_order "
              "memory_order_acq_rel memory_order_acquire memory_order_relaxed memory_order_release "
              "memory_order_seq_cst",
    "bit": "bit_cast bit_ceil bit_floor bit_width countl_one countl_zero countr_one countr_zero endian "
           "has_single_bit popcount rotl rotr",
    "bitset": "bitset",
    "cassert": "",
    "cerrno": "",
    "charconv": "chars_format from_chars to_chars from_chars_result to_chars_result",
    "chrono": "chrono::duration chrono::duration_cast chrono::hours chrono::microseconds "
              "chrono::milliseconds chrono::minutes chrono::nanoseconds chrono::seconds "
              "chrono::steady_clock chrono::system_clock chrono::time_point",
    "climits": "",
    "cmath": "abs ceil exp floor isfinite isnan log pow sqrt",
    "compare": "partial_ordering strong_ordering weak_ordering",
    "concepts": "assignable_from common_with constructible_from convertible_to copy_constructible "
                "copyable default_initializable derived_from destructible equality_comparable floating_point "
                "integral invocable movable move_constructible predicate regular regular_invocable "
                "same_as semiregular signed_integral swappable totally_ordered unsigned_integral",
    "condition_variable": "condition_variable cv_status",
    "coroutine": "coroutine_handle suspend_always suspend_never",
    "cstdarg": "va_list",
    "cstddef": "byte max_align_t nullptr_t ptrdiff_t size_t",
    "cstdint": "int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t intptr_t uintptr_t "
               "intmax_t uintmax_t",
    "cstdio": "FILE fclose fflush fopen fprintf fputs fread fwrite printf puts remove rename snprintf "
              "vsnprintf size_t",
    "cstdlib": "abort atoi exit free getenv malloc realloc strtod strtol strtoll strtoul strtoull "
               "system size_t",
    "cstring": "memchr memcmp memcpy memmove memset strchr strcmp strerror strlen strncmp strrchr "
               "strstr size_t",
    "ctime": "clock gmtime localtime mktime strftime time time_t tm size_t",
    "deque": "deque erase erase_if begin end size",
    "exception": "current_exception exception exception_ptr",
    "filesystem": "filesystem",
    "fstream": "fstream ifstream ofstream",
    "functional": "bind function greater hash identity invoke less mem_fn not_fn plus ref reference_wrapper",
    "initializer_list": "initializer_list",
    "iterator": "advance back_insert_iterator back_inserter begin cbegin cend contiguous_iterator data "
                "default_sentinel_t distance empty end forward_iterator forward_iterator_tag "
                "input_iterator input_iterator_tag inserter istreambuf_iterator iter_difference_t "
                "iter_reference_t iter_value_t iterator_traits make_move_iterator move_iterator next "
                "prev rbegin rend reverse_iterator sentinel_for size ssize",
    "limits": "numeric_limits",
    "list": "list erase erase_if begin end size",
    "map": "less map multimap erase_if begin end size",
    "memory": "addressof allocate_shared allocator allocator_traits construct_at default_delete destroy_at "
              "enable_shared_from_this make_shared make_shared_for_overwrite make_unique "
              "make_unique_for_overwrite pointer_traits shared_ptr to_address unique_ptr weak_ptr "
              "static_pointer_cast",
    "mutex": "call_once lock_guard mutex once_flag recursive_mutex scoped_lock unique_lock",
    "new": "align_val_t bad_alloc launder nothrow nothrow_t",
    "numeric": "accumulate gcd iota lcm midpoint reduce",
    "optional": "make_optional nullopt nullopt_t optional",
    "ranges": "ranges::begin ranges::borrowed_range ranges::contiguous_range ranges::data ranges::empty "
              "ranges::end ranges::forward_range ranges::input_range ranges::iterator_t ranges::range "
              "ranges::random_access_range ranges::range_reference_t ranges::range_value_t ranges::size "
              "ranges::sized_range ranges::subrange ranges::view views",
    "set": "less multiset set erase_if begin end size",
    "shared_mutex": "shared_lock shared_mutex",
    "span": "as_bytes as_writable_bytes dynamic_extent span data size begin end",
    "sstream": "istringstream ostringstream stringstream",
    "stdexcept": "invalid_argument length_error logic_error out_of_range runtime_error",
    "stop_token": "stop_callback stop_source stop_token",
    "string": "basic_string char_traits erase erase_if getline hash stod stoi stol stoll stoull string "
              "to_string begin data end size",
    "string_view": "basic_string_view hash string_view begin data end size",
    "system_error": "errc error_category error_code error_condition generic_category make_error_code "
                    "system_category system_error",
    "thread": "jthread this_thread thread",
    "tuple": "apply forward_as_tuple ignore make_tuple tie tuple tuple_cat tuple_element "
             "tuple_element_t tuple_size tuple_size_v get",
    "type_traits": "bool_constant common_type_t conditional conditional_t decay_t enable_if_t false_type "
                   "has_unique_object_representations_v integral_constant invoke_result_t "
                   "is_aggregate_v is_arithmetic_v is_base_of_v is_class_v is_const_v is_constant_evaluated "
                   "is_constructible_v is_convertible_v is_copy_constructible_v is_default_constructible_v "
                   "is_empty_v is_enum_v is_function_v is_integral_v is_invocable_r_v is_invocable_v "
                   "is_lvalue_reference_v is_move_constructible_v is_nothrow_move_constructible_v "
                   "is_object_v is_pointer_v is_reference_v is_same is_same_v is_signed_v "
                   "is_standard_layout_v is_trivially_copyable_v is_trivially_destructible_v "
                   "is_unsigned_v is_void_v make_signed_t make_unsigned_t remove_const_t remove_cv_t "
                   "remove_cvref_t remove_pointer_t remove_reference_t true_type type_identity "
                   "type_identity_t underlying_type_t void_t",
    "unordered_map": "unordered_map unordered_multimap erase_if begin end size",
    "unordered_set": "unordered_set erase_if begin end size",
    "utility": "as_const cmp_equal cmp_greater cmp_less cmp_less_equal declval exchange forward "
               "in_place in_place_index in_place_index_t in_place_t in_place_type in_place_type_t in_range "
               "index_sequence index_sequence_for integer_sequence make_index_sequence make_pair "
               "move pair piecewise_construct swap tuple_element_t tuple_size_v get",
    "variant": "get get_if holds_alternative monostate variant variant_alternative_t variant_size_v "
               "visit in_place_index_t in_place_type_t in_place_index in_place_type",
    "vector": "vector erase erase_if begin data end size",
}
# What has no std:: before it: macros, and names that C gives to everyone.
C_GIVES = [
    ("cerrno", r"errno|E(?:ACCES|AGAIN|BADF|BUSY|DQUOT|EXIST|FBIG|INTR|INVAL|IO|ISDIR|LOOP|MFILE"
               r"|NAMETOOLONG|NFILE|NOENT|NOMEM|NOSPC|NOSYS|NOTDIR|NOTEMPTY|NOTSUP|OPNOTSUPP|OVERFLOW"
               r"|PERM|PIPE|RANGE|ROFS|TIMEDOUT|XDEV)"),
    ("climits", r"CHAR_BIT|U?INT_MAX|INT_MIN|U?L?LONG_MAX|PATH_MAX"),
    ("cstdint", r"U?INT(?:8|16|32|64|PTR|MAX)_(?:MAX|MIN|C)|SIZE_MAX|u?int(?:8|16|32|64|ptr|max)_t"),
    ("cstddef", r"offsetof|NULL|size_t|ptrdiff_t"),
    ("cstdarg", r"va_(?:list|start|end|arg|copy)"),
    ("cstring", r"(?:mem(?:chr|cmp|cpy|move|set)|str(?:chr|cmp|error|len|ncmp))(?=\()"),
    ("cstdio", r"v?snprintf(?=\()"),
]
# The C spelling of a header gives the same.
C_NAMES = {"cassert": "assert.h", "cerrno": "errno.h", "climits": "limits.h", "cstdint": "stdint.h",
           "cstddef": "stddef.h", "cstdarg": "stdarg.h", "cstring": "string.h", "cstdio": "stdio.h",
           "cstdlib": "stdlib.h", "ctime": "time.h"}

GIVERS = {}
for giver, names in GIVES.items():
    for given in names.split():
        GIVERS.setdefault(given, set()).add(giver)

# Raw strings are not in use; a quote between digits groups them.
NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|(?<=[0-9a-fA-F])\'(?=[0-9a-fA-F])'
                      r"|'(?:[^'\\\n]|\\.)*'", re.DOTALL)
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
NAMED = re.compile(r"\bstd\s*::\s*(?:(chrono|ranges)\s*::\s*)?(\w+)")


def includes_of(text):
    return INCLUDE.findall(text)


def code_of(text):
    """The text without includes, comments and literals, line for line."""
    def blank(found):
        return " " + "\n" * found.group().count("\n")
    return NOT_CODE.sub(blank, re.sub(r"^\s*#\s*include.*$", "", text, flags=re.MULTILINE))


def needs_of(code):
    """(line, name, headers that give it) of the first use of each name."""
    seen = {}
    for number, line in enumerate(code.splitlines(), 1):
        for inner, last in NAMED.findall(line):
            name = f"{inner}::{last}" if inner else last
            seen.setdefault(name, (number, f"std::{name}", GIVERS.get(name, set())))
        if "<=>" in line:
            seen.setdefault("<=>", (number, "operator<=>", {"compare"}))
        for header, pattern in C_GIVES:
            for name in re.findall(rf"(?<![\w.>:])(?:{pattern})(?!\w)", line):
                givers = GIVERS.get(name, set()) | {header}
                seen.setdefault(name, (number, name, givers))
    return seen.values()


class Tree:
    def __init__(self, include_dir):
        self.texts = {path.relative_to(include_dir).as_posix(): path.read_text(encoding="utf-8")
                      for path in sorted((include_dir / "kvbackup").rglob("*.hpp"))}
        self.reached = {}

    def reach(self, name):
        """What including our header `name` includes, through our headers."""
        if name not in self.reached:
            self.reached[name] = set()  # a circle ends here; the compiler reports it
            for target in includes_of(self.texts[name]):
                self.reached[name] |= {target} | (self.reach(target) if target in self.texts else set())
        return self.reached[name]

    def problems(self, name, text):
        reached = set()
        for target in includes_of(text):
            reached |= {target} | (self.reach(target) if target in self.texts else set())
        for number, needed, givers in needs_of(code_of(text)):
            known = givers | {C_NAMES[giver] for giver in givers if giver in C_NAMES}
            if not givers:
                yield f"{name}:{number}: {needed} is in no line of GIVES in std_includes.py: add it"
            elif not known & reached:
                yield f"{name}:{number}: {needed} needs <{'> or <'.join(sorted(givers))}>"


# (words of a header that includes nothing else of the standard library, words of the report)
PLANTS = [
    ("#include <string>\ninline std::vector<int> f();", "std::vector needs <vector>"),
    ("#include <vector>\n// <map>\ninline std :: map<int, int> f();", "std::map needs <map>"),
    ("#include <string>\ninline auto f(int a, int b) { return a <=> b; }", "needs <compare>"),
    ("#include <string>\ninline int f() { return errno; }", "errno needs <cerrno>"),
    ("#include <string>\ninline uint64_t f();", "uint64_t needs <cstdint>"),
    ("#include <string>\ninline bool f(int a) { return std::in_range<char>(a); }", "needs <utility>"),
    ("#include <algorithm>\ninline bool f() { return std::ranges::size(1'000); }", "needs <ranges>"),
    ("#include <string>\ninline std::flat_map<int, int> f();", "is in no line of GIVES"),
]
INNOCENT = ('#include <cstddef>\n#include <string>\n/* std::map\n std::set */ // std::list\n'
            'inline std::size_t f() { return std::string("std::vector").size() + 1\'000; }')


def self_test(tree):
    missed = [f"not reported: {planted}" for planted, words in PLANTS
              if not any(words in found for found in tree.problems("planted.hpp", planted))]
    return missed + list(tree.problems("innocent.hpp", INNOCENT))


def main(arguments):
    tree = Tree(pathlib.Path(arguments[-1]))
    if arguments[:1] == ["--self-test"]:
        found = self_test(tree)
    else:
        found = [line for name, text in tree.texts.items() for line in tree.problems(name, text)]
    print(*found, sep="\n")
    return 1 if found or not tree.texts else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
