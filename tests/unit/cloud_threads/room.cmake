# SPDX-License-Identifier: Apache-2.0
# Of net/ and backend/ what several threads do at once, in a program of its own: ThreadSanitizer sees
# through the transports of these tests, and not through libcurl, which the other programs need.
set_tests_properties(unit.cloud_threads PROPERTIES LABELS threads)
