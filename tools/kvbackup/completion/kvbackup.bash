# SPDX-License-Identifier: Apache-2.0
# Completion of kvbackup's commands and flags in bash. The program itself says what they are, so that
# this file has nothing to be kept up to date.

declare -gA _kvbackup_help

# What `kvbackup COMMAND --help-all` prints, asked for once in a shell.
_kvbackup_ask() {
  [ -n "${_kvbackup_help[${2:-program}]-}" ] ||
    _kvbackup_help[${2:-program}]=$("$1" ${2:+"$2"} --help"${2:+-all}" 2>/dev/null)
}

_kvbackup() {
  local program=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local line=${COMP_LINE:0:COMP_POINT} command=
  COMPREPLY=()
  read -r _ command _ <<<"$line"
  if [ "$COMP_CWORD" -eq 1 ]; then
    _kvbackup_ask "$program" ""
    mapfile -t COMPREPLY < <(
      compgen -W "--help --version $(sed -nE 's/^  ([a-z]+) +.*/\1/p' <<<"${_kvbackup_help[program]-}")" -- "$current"
    )
    return
  fi
  case "$current" in
    -*)
      _kvbackup_ask "$program" "$command"
      mapfile -t COMPREPLY < <(
        compgen -W "--help --help-all $(grep -oE '^  (-[a-z], )?--[a-z0-9.-]+' <<<"${_kvbackup_help[$command]-}" |
          grep -oE -- '--[a-z0-9.-]+')" -- "$current"
      )
      return
      ;;
  esac
  case "$previous" in
    --format) mapfile -t COMPREPLY < <(compgen -W "hex escaped raw" -- "$current") ;;
    --compression) mapfile -t COMPREPLY < <(compgen -W "lz4 snappy zstd none" -- "$current") ;;
    --profile) mapfile -t COMPREPLY < <(compgen -W "br rocksdb" -- "$current") ;;
    --layout) mapfile -t COMPREPLY < <(compgen -W "flat tikv mvcc" -- "$current") ;;
    --log-format) mapfile -t COMPREPLY < <(compgen -W "json text" -- "$current") ;;
    --source | --sink)
      compopt -o nospace 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -W "rocksdb: lmdb: leveldb: sst: tsv:" -- "$current")
      ;;
    *) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;; # also behind "SCHEME:", a word of its own
  esac
}
complete -o filenames -F _kvbackup kvbackup
