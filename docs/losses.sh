#!/usr/bin/env bash
# Makes the pictures of docs/losses.md with the commands that it prints. Needs the release build and, for the contact
# sheets, Python with Pillow. Takes a quarter of an hour on two cores. The sheet of five textures needs a complete
# vgg19.safetensors in this folder.
# Options are passed on: docs/losses.sh --device llvmpipe
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p out
device=("$@")
[ ${#device[@]} -gt 0 ] || device=(--device cpu)
pixgrad() { target/release/pixgrad "$@" "${device[@]}"; }

images=samples/images
paint() { # MODEL LOSS ITERATIONS
    pixgrad style $images/chelsea.png $images/starry_night.jpg --model $1 -s 160 --initial-iterations $3 \
        --style-loss $2 -o out/loss-$1-$2-$3.png
}
for model in squeezenet1_1 vgg19; do
    for loss in gram mmd-linear mmd-gaussian bn wasserstein; do
        paint $model $loss 60
    done
done
for loss in gram bn wasserstein; do
    paint vgg19 $loss 200
done
pixgrad texture $images/starry_night.jpg --model vgg19 --sheet -s 80 --min-size 80 --optimizer lbfgs -i 80 \
    -o docs/texture-sheet.jpg
if [ -f vgg19.safetensors ]; then
    pixgrad texture $images/starry_night.jpg --model vgg19.safetensors --sheet -s 128 --min-size 128 \
        --optimizer lbfgs -i 150 --padding wrap -o docs/texture-sheet-5.jpg
fi

python3 - <<'PYTHON'
from PIL import Image

def sheet(path, names):
    paths = ["samples/images/chelsea.png"] + [f"out/loss-{name}.png" for name in names]
    width, height, gap = 320, 212, 8
    rows = -(-len(paths) // 3)
    sheet = Image.new("RGB", (3 * (width + gap) + gap, rows * (height + gap) + gap), "white")
    for i, picture in enumerate(paths):
        picture = Image.open(picture).convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
        sheet.paste(picture, (gap + i % 3 * (width + gap), gap + i // 3 * (height + gap)))
    sheet.save(path, quality=90, optimize=True)

losses = ["gram", "mmd-linear", "mmd-gaussian", "bn", "wasserstein"]
sheet("docs/losses.jpg", [f"squeezenet1_1-{loss}-60" for loss in losses])
longer = [f"vgg19-{loss}-200" for loss in ["gram", "bn", "wasserstein"]]
sheet("docs/losses-vgg19.jpg", [f"vgg19-{loss}-60" for loss in losses] + longer)
PYTHON
