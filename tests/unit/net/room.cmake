# SPDX-License-Identifier: Apache-2.0
set_tests_properties(unit.net PROPERTIES LABELS threads)
