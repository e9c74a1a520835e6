#!/usr/bin/env bash
# Makes docs/control.jpg with the commands that docs/control.md prints. Needs the release build and Python with Pillow.
# Takes a few minutes on two cores. Options are passed on: docs/control.sh --device llvmpipe
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p out
device=("$@")
[ ${#device[@]} -gt 0 ] || device=(--device cpu)
pixgrad() { target/release/pixgrad "$@" "${device[@]}"; }

images=samples/images
masks=samples/masks
pixgrad style $images/coffee.jpg $images/starry_night.jpg -s 256 -o out/colour-off.png
pixgrad style $images/coffee.jpg $images/starry_night.jpg -s 256 --preserve-color luma -o out/colour-luma.png
pixgrad style $images/coffee.jpg $images/starry_night.jpg -s 256 --preserve-color match -o out/colour-match.png
pixgrad style $images/chelsea.png $images/starry_night.jpg -s 256 --style-mask $masks/rest.png -o out/mask.png
pixgrad style $images/chelsea.png $images/starry_night.jpg $images/brick.png -s 256 \
    --style-mask $masks/face.png --style-mask $masks/rest.png -o out/masks.png
pixgrad texture $images/starry_night.jpg -s 128 -o out/plain.png
pixgrad texture $images/starry_night.jpg -s 128 --tileable -o out/tile.png

python3 - <<'PYTHON'
from PIL import Image
height, gap = 240, 8

def repeated(path):
    tile = Image.open(path).convert("RGB")
    both = Image.new("RGB", (2 * tile.width, 2 * tile.height))
    for x in (0, 1):
        for y in (0, 1):
            both.paste(tile, (x * tile.width, y * tile.height))
    return both

def strip(pictures, names=()):
    pictures = [p.resize((round(p.width * height / p.height), height), Image.Resampling.LANCZOS) for p in pictures]
    sheet = Image.new("RGB", (sum(p.width + gap for p in pictures) - gap, height), "white")
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width + gap
    return sheet

read = lambda name: Image.open(f"out/{name}.png").convert("RGB")
rows = [
    strip([read("colour-off"), read("colour-luma"), read("colour-match")]),
    strip([Image.open("samples/masks/rest.png").convert("RGB"), read("mask"), read("masks")]),
    strip([repeated("out/plain.png"), repeated("out/tile.png")]),
]
sheet = Image.new("RGB", (max(r.width for r in rows), sum(r.height + gap for r in rows) - gap), "white")
top = 0
for row in rows:
    sheet.paste(row, (0, top))
    top += row.height + gap
sheet.save("docs/control.jpg", quality=88, optimize=True)
PYTHON
