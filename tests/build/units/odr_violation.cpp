// SPDX-License-Identifier: Apache-2.0
// Compiled twice, with and without KVBACKUP_TEST_SECOND: the link must be refused. This is what the
// test of linked units would look like if a macro changed a class.
struct Changed {
  int first;
#ifdef KVBACKUP_TEST_SECOND
  double second;
#endif
};

#ifdef KVBACKUP_TEST_SECOND
int use(Changed* changed) { return changed->first + static_cast<int>(changed->second); }
#else
int use(Changed* changed);
int main() {
  Changed changed{1};
  return use(&changed);
}
#endif
