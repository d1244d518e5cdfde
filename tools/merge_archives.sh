#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# usage: merge_archives.sh OUTPUT WHOLE PART PART COMPILER...
#
# Makes the static library OUTPUT of one object: all of the archive WHOLE, and of the other two what it calls. Hidden
# symbols become local, so that they cannot clash with those of the program that links it.
set -eu
output=$1 whole=$2 part_1=$3 part_2=$4
shift 4
object=$output.o
# With link-time optimisation the archives hold the compiler's own intermediate form, which only this compiler reads:
# it is compiled here. Other compilers than GCC do so without being told.
case $("$@" --version) in *clang*) ;; *) set -- "$@" -flto=auto -flinker-output=nolto-rel ;; esac
"$@" -O2 -r -nostdlib -o "$object" -Wl,--whole-archive "$whole" -Wl,--no-whole-archive "$part_1" "$part_2"
objcopy --localize-hidden "$object"
rm -f "$output"
ar rcs "$output" "$object"
rm "$object"
