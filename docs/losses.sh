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
losses="gram mmd-linear mmd-poly mmd-gaussian bn wasserstein"
for loss in $losses; do
    pixgrad style $images/chelsea.png $images/starry_night.jpg --model squeezenet1_1 -s 256 --style-loss $loss -o out/squeezenet-$loss.png
    pixgrad style $images/chelsea.png $images/starry_night.jpg --model vgg19 -s 192 --style-loss $loss -o out/vgg-$loss.png
done
pixgrad texture $images/starry_night.jpg --model vgg19 --sheet -s 128 -o docs/texture-sheet.jpg

python3 - $losses <<'PYTHON'
import sys
from PIL import Image
losses = sys.argv[1:]
sheet = Image.new("RGB", (2 * 264 + 8, len(losses) * 180 + 8), "white")
for row, loss in enumerate(losses):
    for column, network in enumerate(["squeezenet", "vgg"]):
        picture = Image.open(f"out/{network}-{loss}.png").convert("RGB")
        picture = picture.resize((256, round(picture.height * 256 / picture.width)), Image.Resampling.LANCZOS)
        sheet.paste(picture, (8 + column * 264, 8 + row * 180))
sheet.save("docs/losses.jpg", quality=90, optimize=True)
PYTHON
