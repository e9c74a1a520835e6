#!/bin/sh
# Tests the C library: installs it into a folder of its own, and compiles and runs programs with it. Needs a C compiler,
# pkg-config and valgrind.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export PIXGRAD_CACHE="$scratch/cache"
"$here/../install.sh" "$scratch/pixgrad"
export PKG_CONFIG_PATH="$scratch/pixgrad/lib/pkgconfig" LD_LIBRARY_PATH="$scratch/pixgrad/lib"
test "$(pkg-config --modversion pixgrad)" = "$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -1)"
flags="-std=c11 -Wall -Wextra -Wpedantic -Werror -O1 -g"
cd "$scratch"

# shellcheck disable=SC2086,SC2046 # several words are meant
cc $flags "$here/test.c" -o test $(pkg-config --cflags --libs pixgrad) -lm
readelf -d test | grep -q 'NEEDED.*libpixgrad.so.0'
echo "shared library, processor:"
./test "$root/samples/images"
echo "shared library, software adapter:"
./test "$root/samples/images" llvmpipe

# shellcheck disable=SC2086,SC2046
cc $flags "$here/test.c" -o static $(pkg-config --cflags pixgrad) pixgrad/lib/libpixgrad.a -lpthread -ldl -lm -lgcc_s
echo "static library, processor:"
LD_LIBRARY_PATH= ./static "$root/samples/images"

# The threads of the processor's device live as long as the program; all else must be freed. Valgrind has no AVX-512 and
# the library asks the processor, so that it computes with what valgrind knows.
echo "valgrind:"
# No driver is loaded: those of others have faults of their own.
VK_DRIVER_FILES=/nonexistent VK_ICD_FILENAMES=/nonexistent valgrind --quiet --leak-check=full \
    --show-leak-kinds=definite --errors-for-leak-kinds=definite --error-exitcode=99 \
    --suppressions="$here/valgrind.supp" ./test "$root/samples/images"

# The example, as C and as C++.
# shellcheck disable=SC2086,SC2046
cc $flags "$here/../examples/style.c" -o style $(pkg-config --cflags --libs pixgrad)
# shellcheck disable=SC2086,SC2046
printf '#include <pixgrad.h>\nint main() { return pixgrad_version()[0] == 0; }\n' >header.cpp
c++ -std=c++17 -Wall -Wextra -Werror header.cpp -o header $(pkg-config --cflags --libs pixgrad)
./header
./style "$root/samples/images/chelsea.png" "$root/samples/images/starry_night.jpg" painted.png 64 cpu
test -s painted.png
echo "C: all ok"
