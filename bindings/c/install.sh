#!/bin/sh
# Builds the C library and installs it: install.sh [PREFIX], /usr/local where none is given. DESTDIR is honoured.
# PROFILE names a profile of Cargo, release where none is given; CARGO_TARGET_DIR the folder of what is built.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
prefix=${1:-/usr/local}
profile=${PROFILE:-release}
cd "$here/../.."
${CARGO:-cargo} build --profile "$profile" --package pixgrad-c
built=${CARGO_TARGET_DIR:-target}/$profile
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
major=${version%%.*}
root=${DESTDIR:-}$prefix
mkdir -p "$root/lib/pkgconfig" "$root/include"
cp "$built/libpixgrad.a" "$root/lib/"
if [ -e "$built/libpixgrad.dylib" ]; then
    cp "$built/libpixgrad.dylib" "$root/lib/libpixgrad.$major.dylib"
    ln -sf "libpixgrad.$major.dylib" "$root/lib/libpixgrad.dylib"
else
    cp "$built/libpixgrad.so" "$root/lib/libpixgrad.so.$version"
    ln -sf "libpixgrad.so.$version" "$root/lib/libpixgrad.so.$major"
    ln -sf "libpixgrad.so.$major" "$root/lib/libpixgrad.so"
fi
cp bindings/c/include/pixgrad.h "$root/include/"
sed -e "s|@PREFIX@|$prefix|" -e "s|@VERSION@|$version|" bindings/c/pixgrad.pc.in >"$root/lib/pkgconfig/pixgrad.pc"
