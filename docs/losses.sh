#!/usr/bin/env bash
# Makes the pictures of docs/losses.md with the commands that it prints. Needs the release build and, for the contact sheet, Python
# with Pillow; some minutes on two cores. Options are passed on: docs/losses.sh --device llvmpipe
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p out
device=("$@")
[ ${#device[@]} -gt 0 ] || device=(--device cpu)
pixgrad() { target/release/pixgrad "$@" "${device[@]}"; }

images=samples/images
for loss in gram mmd-linear mmd-gaussian bn wasserstein; do
    pixgrad style $images/chelsea.png $images/starry_night.jpg --model squeezenet1_1 -s 160 --initial-iterations 60 --style-loss $loss -o out/loss-$loss.png
done
pixgrad texture $images/starry_night.jpg --model vgg19 --sheet -s 80 --min-size 80 --optimizer lbfgs -i 80 -o docs/texture-sheet.jpg

python3 - <<'PYTHON'
from PIL import Image
paths = ["samples/images/chelsea.png"] + [
    f"out/loss-{loss}.png" for loss in ["gram", "mmd-linear", "mmd-gaussian", "bn", "wasserstein"]
]
width, height, gap = 320, 212, 8
sheet = Image.new("RGB", (3 * (width + gap) + gap, 2 * (height + gap) + gap), "white")
for i, path in enumerate(paths):
    picture = Image.open(path).convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    sheet.paste(picture, (gap + i % 3 * (width + gap), gap + i // 3 * (height + gap)))
sheet.save("docs/losses.jpg", quality=90, optimize=True)
PYTHON
