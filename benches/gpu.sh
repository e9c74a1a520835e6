#!/usr/bin/env bash
# Tests and measures pixgrad on a GPU: benches/gpu.sh [FOLDER]. It takes about ten minutes; the time limits of all steps
# add up to half an hour.
#
# The steps are the tests of the kernels and of the engine, the benchmark in f32 and in f16, each with and without
# cooperative matrices, a comparison with PyTorch where there is one, and pictures to look at. Each step has a time
# limit and leaves its log in FOLDER. When a step fails, the others still run, and the script exits with 1.
#
# Where there is no Rust, bring what it would build, and say where it lies:
#   PIXGRAD=target/release/pixgrad         cargo build --release
#   KERNELS=target/release/deps/kernels-…  cargo test --release --test kernels --no-run
#   ENGINE=target/release/deps/engine-…    cargo test --release --test engine --no-run
# DEVICE: number or part of the name, as `pixgrad devices` has them [the first GPU].
# SIZE: of the pictures and of the comparison [1024].
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=${1:-out/gpu}
mkdir -p "$folder"
size=${SIZE:-1024}
if [ -z "${PIXGRAD:-}" ]; then
    cargo build --release || exit 1
    PIXGRAD=target/release/pixgrad
fi
tests() { # NAME: builds these tests, prints where they lie
    cargo test --release --test "$1" --no-run 2>&1 | sed -n "s/.*(\(target.*$1-[0-9a-f]*\))\$/\1/p"
}
: "${KERNELS:=$(tests kernels)}" "${ENGINE:=$(tests engine)}"
if [ -z "$KERNELS" ] || [ -z "$ENGINE" ]; then
    echo "the tests of the kernels or of the engine were not built" >&2
    exit 1
fi
device=${DEVICE:-$("$PIXGRAD" devices 2>/dev/null | awk '$0 !~ / cpu / && /^[0-9]/ { print $1; exit }')}
if [ -z "$device" ]; then
    echo "no GPU found; DEVICE=NUMBER takes another adapter, as \`pixgrad devices\` numbers them" >&2
    exit 1
fi

failed=0
step() { # NAME SECONDS COMMAND…
    local name=$1 limit=$2 start=$SECONDS
    shift 2
    if timeout "$limit" "$@" >"$folder/$name.txt" 2>&1; then
        echo "$name: done in $((SECONDS - start)) s"
    else
        local code=$?
        echo "$name: FAILED with $code after $((SECONDS - start)) s (124: the limit of $limit s)"
        echo "The end of $folder/$name.txt:"
        tail -n 5 "$folder/$name.txt"
        failed=1
    fi
}
bench() { # NAME OPTION…
    local name=$1
    shift
    step "bench-$name" "${BENCH_SECONDS:-200}" "$PIXGRAD" bench --device "$device" -o "$folder/$name.json" "$@"
}

step devices 30 "$PIXGRAD" devices
# Those that run the most kernels on the device; the rest of the suite tests much that no GPU changes.
export CARGO_MANIFEST_DIR="$PWD" PIXGRAD_TEST_DEVICE="$device"
step kernels 200 "$KERNELS" conv packed multiply shaders gram matmul pool relu
step engine 200 "$ENGINE" scheduler bands precision::gradients_of_the
bench f32 ${BENCH:-}
bench f16 --precision f16 ${BENCH:-}
PIXGRAD_COOP=0 bench f32-without-matrices --quick ${BENCH:-}
PIXGRAD_COOP=0 bench f16-without-matrices --precision f16 --quick ${BENCH:-}
if python3 -c 'import torch, numpy, PIL, safetensors' 2>/dev/null; then
    step peers 300 python3 benches/peers/peers.py --pixgrad "$PIXGRAD" --device "$device" --size "$size" --reduced \
        --json "$folder/peers.json"
else
    echo "peers: left out, there is no PyTorch with numpy, pillow and safetensors here"
fi
images=samples/images
for precision in f32 f16; do
    step "style-$precision" 120 "$PIXGRAD" style $images/coffee.jpg $images/starry_night.jpg --model vgg19 \
        -s "$size" --device "$device" --precision $precision -o "$folder/style-$precision.png"
    step "dream-$precision" 60 "$PIXGRAD" dream $images/astronaut.jpg \
        -s "$size" --device "$device" --precision $precision -o "$folder/dream-$precision.png"
done
exit $failed
