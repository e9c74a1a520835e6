//! Control over style and texture: padding, pooling, colours, masks, a scale for each style.

use pixgrad::engine::image::{luma, psnr};

use super::*;

/// Black but for the columns from `left` up to `right`.
fn stripe(width: u32, height: u32, left: u32, right: u32) -> Image {
    let value = |i: u32| f32::from(u8::from((left..right).contains(&(i % width))));
    let rgb = (0..width * height).flat_map(|i| [value(i); 3]);
    Image::new(width, height, rgb.collect()).expect("a picture")
}

/// Mean squared difference of two pictures over the columns from `left` up to `right`.
fn change(a: &Image, b: &Image, left: u32, right: u32) -> f32 {
    let pixels = (0..a.height).flat_map(|y| (left..right).map(move |x| (x, y)));
    let square = |(x, y)| -> f32 {
        let pairs = a.pixel(x, y).into_iter().zip(b.pixel(x, y));
        pairs.map(|(a, b)| (a - b).powi(2)).sum()
    };
    pixels.map(square).sum::<f32>() / (a.height * (right - left)) as f32
}

#[test]
fn tileable_rounds_the_size_and_says_so() {
    let desk = Desk::new();
    let line = "texture style.png -o tile.png --size 70x41 --min-size 70 -i 5 --tileable --save-recipe r.toml";
    let output = desk.run(line);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let stderr = text(&output.stderr);
    for word in ["note: ", "64x48", "70x41", "multiples of 16"] {
        assert!(stderr.contains(word), "{stderr}");
    }
    let tile = desk.load("tile.png");
    assert_eq!(tile.size(), (64, 48));
    let recipe = fs::read_to_string(desk.path("r.toml")).expect("a recipe");
    assert!(recipe.contains("padding = \"wrap\""), "{recipe}");
    desk.done("run r.toml -o again.png");
    assert_eq!(desk.load("again.png"), tile);
    desk.done(
        &line
            .replace("--tileable", "--padding wrap")
            .replace("tile.png", "same.png"),
    );
    assert_eq!(desk.load("same.png"), tile);
}

#[test]
fn padding_and_pooling_change_the_picture() {
    let desk = Desk::new();
    let run = |options: &str| {
        desk.done(&format!(
            "style content.png style.png -o out.png {SHORT} {options}"
        ));
        desk.load("out.png")
    };
    let pictures = [
        run(""),
        run("--padding replicate"),
        run("--padding replicate-first"),
        run("--padding wrap"),
        run("--pooling average"),
        run("--model vgg19 --pooling average"),
    ];
    for (i, a) in pictures.iter().enumerate() {
        for b in &pictures[i + 1..] {
            assert_ne!(a, b);
        }
    }
    assert_eq!(run("--padding zero --pooling max"), pictures[0]);
}

#[test]
fn luma_keeps_the_chroma_of_the_content() {
    let desk = Desk::new();
    // Of little contrast, so that nothing is clipped.
    let mut content = desk.load("content.png");
    content.rgb.iter_mut().for_each(|v| *v = 0.35 + 0.3 * *v);
    desk.picture("content.png", &content);
    desk.done(&format!(
        "style content.png style.png -o out.png {SHORT} --preserve-color luma"
    ));
    let (content, out) = (desk.load("content.png"), desk.load("out.png"));
    assert!(
        psnr(&content, &out).expect("equal sizes") < 40.0,
        "it is painted"
    );
    // R − Y and B − Y, to the rounding of three 8-bit values.
    let (before, after) = (luma(&content), luma(&out));
    let mut compared = 0;
    for i in 0..before.len() {
        let pixels = [&content.rgb[3 * i..][..3], &out.rgb[3 * i..][..3]];
        if pixels[1].iter().any(|v| *v == 0.0 || *v == 1.0) {
            continue;
        }
        compared += 1;
        for c in [0, 2] {
            let (a, b) = (pixels[0][c] - before[i], pixels[1][c] - after[i]);
            assert!((a - b).abs() <= 1.01 / 255.0, "pixel {i}: {a} became {b}");
        }
    }
    assert!(compared > before.len() * 9 / 10, "{compared}");
    // The recipe says it, and does it again.
    desk.done(&format!(
        "style content.png style.png -o a.png {SHORT} --preserve-color luma --save-recipe r.toml"
    ));
    desk.done("run r.toml -o b.png");
    assert_eq!(desk.load("a.png"), out);
    assert_eq!(desk.load("b.png"), out);
}

/// Mean of blue minus red.
fn blue(image: &Image) -> f32 {
    let pixels = image.rgb.chunks(3);
    pixels.map(|p| p[2] - p[0]).sum::<f32>() / (image.rgb.len() / 3) as f32
}

#[test]
fn match_paints_in_the_contents_colours() {
    let desk = Desk::new();
    let run = |mode: &str| {
        desk.done(&format!(
            "style content.png style.png -o out.png --size 64 --min-size 64 -i 30 --preserve-color {mode}"
        ));
        blue(&desk.load("out.png"))
    };
    let (content, off, matched) = (blue(&desk.load("content.png")), run("off"), run("match"));
    assert!(off > content + 0.08, "the style is blue: {content} {off}");
    assert!((matched - content).abs() < 0.03, "{content} {matched}");
}

#[test]
fn a_mask_is_where_the_style_is() {
    for (loss, kind) in [
        ("gram", "gram"),
        ("bn", "bn"),
        ("mmd-linear", "mmd"),
        ("wasserstein", "wasserstein"),
    ] {
        a_mask_is_where_the_style_is_by(loss, kind);
    }
}

fn a_mask_is_where_the_style_is_by(loss: &str, kind: &str) {
    let desk = Desk::new();
    desk.picture("left.png", &stripe(64, 48, 0, 32));
    // Another size of the same shape.
    desk.picture("right.png", &stripe(128, 96, 64, 128));
    desk.picture("gravel.png", &sample("gravel.png", 64, 64));
    // Layers that see 15 pixels, and nothing else that could move a pixel.
    let layers = format!(
        "--style-layers relu_conv1,fire2/concat --content-weight 0 --tv-weight 0 --style-loss {loss}"
    );
    let run = |line: &str, out: &str| {
        desk.done(&format!(
            "style content.png {line} -o {out} {SHORT} {layers} --save-recipe r.toml"
        ));
        desk.load(out)
    };
    let content = desk.load("content.png");
    let left = run("style.png --style-mask left.png", "a.png");
    assert!(change(&left, &content, 0, 32) > 1e-3);
    assert_eq!(
        change(&left, &content, 48, 64),
        0.0,
        "beyond what the layers see"
    );

    let two = run(
        "style.png gravel.png --style-mask left.png --style-mask right.png",
        "b.png",
    );
    assert!(change(&two, &content, 0, 32) > 1e-3 && change(&two, &content, 48, 64) > 1e-3);
    // Where only the first style is, the second changes next to nothing.
    assert!(change(&two, &left, 0, 16) < 1e-5);
    let recipe = fs::read_to_string(desk.path("r.toml")).expect("a recipe");
    assert_eq!(
        recipe.matches(&format!("kind = \"{kind}\"")).count(),
        2,
        "{recipe}"
    );
    assert_eq!(recipe.matches("\nmask = ").count(), 2, "{recipe}");
    desk.done("run r.toml -o again.png");
    assert_eq!(desk.load("again.png"), two);

    // White everywhere is no mask.
    desk.picture("white.png", &stripe(64, 48, 0, 64));
    let white = run("style.png --style-mask white.png", "c.png");
    let db = psnr(&white, &run("style.png", "d.png")).expect("equal sizes");
    assert!(db > 45.0, "{db} dB");
}

#[test]
fn a_source_mask_takes_part_of_the_style() {
    let desk = Desk::new();
    // The left half of gray gravel is of the blue painting.
    let (style, mut gravel) = (desk.load("style.png"), sample("gravel.png", 64, 64));
    desk.picture("gravel.png", &gravel);
    for y in 0..64 {
        let row = y * 64 * 3..y * 64 * 3 + 32 * 3;
        gravel.rgb[row.clone()].copy_from_slice(&style.rgb[row]);
    }
    desk.picture("halves.png", &gravel);
    desk.picture("right.png", &stripe(64, 64, 32, 64));
    let run = |line: &str| {
        desk.done(&format!(
            "texture {line} -o out.png --size 48 --min-size 48 -i 40"
        ));
        blue(&desk.load("out.png"))
    };
    let gray = run("gravel.png");
    let whole = run("halves.png") - gray;
    let masked = run("halves.png --style-source-mask right.png") - gray;
    assert!(
        whole > 0.02 && masked.abs() < 0.3 * whole,
        "{gray} {whole} {masked}"
    );
}

#[test]
fn each_style_has_its_scale() {
    let desk = Desk::new();
    desk.picture("gravel.png", &sample("gravel.png", 64, 64));
    let run = |scale: &str| {
        desk.done(&format!(
            "style content.png style.png gravel.png -o out.png {SHORT} --style-scale {scale} --save-recipe r.toml"
        ));
        desk.load("out.png")
    };
    let (one, half) = (run("1,1"), run("1,0.5"));
    assert_ne!(one, half);
    let recipe = fs::read_to_string(desk.path("r.toml")).expect("a recipe");
    assert!(recipe.contains("target_scale = [1.0, 0.5]"), "{recipe}");
    desk.done("run r.toml -o again.png");
    assert_eq!(desk.load("again.png"), half);
    assert_eq!(run("1"), one, "one number for all");
    // Of weight 0: as if it were not there.
    let alone = |line: &str| {
        desk.done(&format!("style content.png {line} -o out.png {SHORT}"));
        desk.load("out.png")
    };
    assert_eq!(
        alone("style.png gravel.png --style-scale 0.5,1 --style-weights 1,0"),
        alone("style.png --style-scale 0.5")
    );
}

#[test]
fn control_goes_on_from_an_earlier_result() {
    let desk = Desk::new();
    desk.done(&format!("style content.png style.png -o first.png {SHORT}"));
    for options in ["", "--preserve-color luma", "--tileable --min-size 64"] {
        desk.done(&format!(
            "style content.png style.png --init first.png -o more.png -i 3 --size 64 {options}"
        ));
        assert_ne!(desk.load("more.png"), desk.load("first.png"), "{options}");
    }
}

#[test]
fn alpha_is_kept_by_every_control() {
    let desk = Desk::new();
    let alpha = (0..64 * 48).map(|i| f32::from(u8::from(i % 64 < 20)));
    let content = desk
        .load("content.png")
        .with_alpha(alpha.collect())
        .expect("an alpha");
    desk.picture("content.png", &content);
    for options in [
        "--preserve-color luma",
        "--preserve-color match",
        "--tileable",
    ] {
        desk.done(&format!(
            "style content.png style.png -o out.png {SHORT} {options}"
        ));
        assert_eq!(desk.load("out.png").alpha, content.alpha, "{options}");
    }
}

#[test]
fn controls_that_make_no_sense_are_refused() {
    let desk = Desk::new();
    desk.picture("black.png", &stripe(64, 48, 0, 0));
    desk.picture("square.png", &stripe(64, 64, 0, 32));
    desk.picture("left.png", &stripe(64, 48, 0, 32));
    desk.picture("dot.png", &stripe(64, 48, 63, 64));
    let style = format!("style content.png style.png -o out.png {SHORT}");
    for (options, code, words) in [
        (
            "--padding mirror",
            2,
            &["zero, replicate, replicate-first or wrap"][..],
        ),
        ("--padding zero --tileable", 2, &["cannot be used with"]),
        ("--pooling mean", 2, &["max or average"]),
        ("--preserve-color yes", 2, &["off, luma or match"]),
        (
            "--style-scale 1,2",
            2,
            &["--style-scale: 2 numbers for 1 style"],
        ),
        ("--style-scale 0", 2, &["greater than 0"]),
        (
            "--style-mask left.png --style-mask left.png",
            2,
            &["--style-mask: 2 pictures for 1 style"],
        ),
        (
            "--style-source-mask a.png --style-source-mask b.png",
            2,
            &["--style-source-mask"],
        ),
        (
            "--style-mask missing.png",
            1,
            &["missing.png", "no such file"],
        ),
        (
            "--style-mask black.png",
            1,
            &["black.png", "black everywhere"],
        ),
        ("--style-source-mask black.png", 1, &["black everywhere"]),
        (
            "--style-mask square.png",
            1,
            &["square.png", "64x64", "shape of the image", "64x48"],
        ),
        (
            "--style-source-mask left.png",
            1,
            &["64x48", "shape of its target", "64x64"],
        ),
        ("--style-mask dot.png", 1, &["no white that layer"]),
    ] {
        desk.refused(&format!("{style} {options}"), code, words);
    }
    desk.refused(
        "texture style.png --preserve-color luma -o out.png",
        2,
        &["--preserve-color"],
    );

    let recipe = |body: &str| fs::write(desk.path("r.toml"), body).expect("written");
    let gram = "[[term]]\nkind = \"gram\"\ntarget = \"style.png\"\n";
    for (body, words) in [
        (
            format!("image = {{ preserve_color = \"luma\" }}\n{gram}"),
            &["`preserve_color` needs a term `content`"][..],
        ),
        (format!("padding = \"mirror\"\n{gram}"), &["mirror", "wrap"]),
        (
            format!("{gram}target_scale = [1.0, 2.0]"),
            &["`target_scale` has 2 for 1 target"],
        ),
        (
            format!("{gram}target_mask = [\"square.png\", \"square.png\"]"),
            &["`target_mask` has 2"],
        ),
        (
            "[[term]]\nkind = \"tv\"\nmask = \"left.png\"".to_string(),
            &[
                "takes no `mask`",
                "content and gram and mmd and bn and wasserstein",
            ],
        ),
        (
            format!(
                "padding = \"wrap\"\nimage = {{ size = 64, transformation = [{{ kind = \"warp\" }}] }}\n{gram}"
            ),
            &["does not wrap around", "`warp`"],
        ),
        (
            gram.replace("\"gram\"", "\"mmd\"\nkernel = \"gaussian\"") + "mask = \"left.png\"",
            &["no mask with this kernel"],
        ),
        (
            format!(
                "image = {{ size = 64, \
                 transformation = [{{ kind = \"jitter\", pixels = 4 }}] }}\n{gram}mask = \"square.png\""
            ),
            &["a transformation moves the image"],
        ),
    ] {
        recipe(&body);
        desk.refused("run r.toml -o out.png", 1, words);
    }
}
