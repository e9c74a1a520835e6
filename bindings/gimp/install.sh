#!/bin/sh
# Builds the plug-in and installs it for this user: install.sh [FOLDER], where FOLDER is GIMP's folder of plug-ins.
# Needs Rust, a C compiler and GIMP's headers (Debian: apt-get install libgimp2.0-dev). The library is part of the
# plug-in: nothing else is installed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$(gimptool-2.0 --gimpplugindir 2>/dev/null | grep -v ^/usr || echo "$HOME/.config/GIMP/2.10/plug-ins")}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$here/../c/install.sh" "$scratch"
mkdir -p "$folder/pixgrad-style"
# shellcheck disable=SC2046 # several words are meant
cc -std=c11 -Wall -Wextra -Werror -O2 "$here/pixgrad-style.c" -o "$folder/pixgrad-style/pixgrad-style" \
    -I"$scratch/include" $(pkg-config --cflags gimpui-2.0 | sed 's/-I/-isystem /g') \
    "$scratch/lib/libpixgrad.a" $(pkg-config --libs gimpui-2.0) -lpthread -ldl -lm -lgcc_s
echo "installed: $folder/pixgrad-style/pixgrad-style"
