//! The style losses end to end on small pictures with the embedded network.

use pixgrad::terms::StyleKind;

use super::*;

/// The first and the last value of the style term of a trace, before its weight.
fn style_values(desk: &Desk, trace: &str) -> (f64, f64) {
    let text = fs::read_to_string(desk.path(trace)).expect("a trace");
    let trace: Value = serde_json::from_str(&text).expect("JSON");
    let iterations = trace["iterations"].as_array().expect("iterations");
    let of = |i: &Value| i["terms"][0].as_f64().expect("a value");
    (of(&iterations[0]), of(&iterations[iterations.len() - 1]))
}

/// The style term alone, from noise, on three layers: each loss falls at least by this factor in 40 iterations.
#[test]
fn every_loss_lowers_its_own_value() {
    let desk = Desk::new();
    for loss in StyleKind::LOSSES.iter().map(|loss| loss.name) {
        let factor = match loss {
            "mmd-gaussian" => 5.0,
            "wasserstein" => 4.0,
            _ => 10.0,
        };
        desk.done(&format!(
            "texture style.png --style-loss {loss} --style-layers relu_conv1,fire2/concat,fire3/concat \
             --tv-weight 0 -s 48 --min-size 48 -i 40 -o out.png --trace t.json"
        ));
        let (first, last) = style_values(&desk, "t.json");
        assert!(last < first / factor, "{loss}: {first} to {last}");
        assert_eq!(desk.load("out.png").size(), (48, 48), "{loss}");
    }
}

#[test]
fn several_losses_are_several_terms_and_a_recipe_has_them() {
    let desk = Desk::new();
    let report = desk.json(&format!(
        "style content.png style.png --style-loss gram:1,mmd-gaussian:0.5,bn:0.25 --style-weight 2 -o out.png {SHORT} \
         --save-recipe r.toml --json"
    ));
    let terms = report["terms"].as_array().expect("terms");
    let kinds: Vec<_> = terms.iter().map(|t| t["kind"].as_str()).collect();
    let expected = ["content", "gram", "mmd", "bn", "tv"];
    assert_eq!(kinds, expected.map(Some));
    let recipe = fs::read_to_string(desk.path("r.toml")).expect("a recipe");
    for line in [
        "kernel = \"gaussian\"",
        "kind = \"bn\"",
        "weight = 0.5",
        "weight = 1.0",
    ] {
        assert!(recipe.contains(line), "no `{line}` in {recipe}");
    }
    desk.done("run r.toml -o again.png");
    assert_eq!(desk.load("again.png"), desk.load("out.png"));
}

#[test]
fn kernels_have_their_numbers_in_a_recipe() {
    let desk = Desk::new();
    let recipe = |line: &str| {
        let text = format!(
            "[image]\ninit = \"noise\"\nsize = 48\n[optimizer]\niterations = 3\n\
             [[term]]\nkind = \"mmd\"\ntarget = \"style.png\"\nrelative = true\n{line}\n"
        );
        fs::write(desk.path("r.toml"), text).expect("written");
    };
    let loss = || {
        desk.json("run r.toml -o out.png --json")["loss"]
            .as_f64()
            .expect("a loss")
    };
    recipe("kernel = \"poly\"");
    let square = loss();
    fs::write(
        desk.path("r.toml"),
        fs::read_to_string(desk.path("r.toml"))
            .expect("a recipe")
            .replace("kind = \"mmd\"", "kind = \"gram\"")
            .replace("kernel = \"poly\"", ""),
    )
    .expect("written");
    assert_eq!(square, loss(), "(xᵀy)² is gram");
    recipe("kernel = \"poly\"\nconstant = 1.0\ndegree = 3");
    assert!(loss() != square);
    recipe("kernel = \"gaussian\"");
    let usual = loss();
    recipe("kernel = \"gaussian\"\nsigma = 2.0");
    assert!(loss() != usual);
    for (line, words) in [
        ("", "needs a `kernel`: linear, poly or gaussian"),
        (
            "kernel = \"poly\"\nsigma = 1.0",
            "`sigma` is for the kernel gaussian",
        ),
        (
            "kernel = \"gaussian\"\ndegree = 2",
            "are for the kernel poly",
        ),
        ("kernel = \"poly\"\ndegree = 0", "from 1 to 8"),
        ("kernel = \"poly\"\nconstant = -1.0", "0 or more"),
        ("kernel = \"gaussian\"\nsigma = 0.0", "greater than 0"),
        ("kernel = \"cubic\"", "linear"),
    ] {
        recipe(line);
        desk.refused("run r.toml -o no.png", 1, &[words]);
    }
    let text = "[[term]]\nkind = \"bn\"\nkernel = \"linear\"\ntarget = \"style.png\"\n";
    fs::write(desk.path("r.toml"), text).expect("written");
    desk.refused("run r.toml -o no.png", 1, &["takes no `kernel`"]);
}

#[test]
fn unknown_losses_are_refused_with_all_names() {
    let desk = Desk::new();
    let names: Vec<_> = StyleKind::LOSSES.iter().map(|loss| loss.name).collect();
    assert!(names.len() >= 6);
    desk.refused(
        "style content.png style.png --style-loss gatys -o out.png",
        2,
        &names,
    );
    desk.refused(
        "texture style.png --style-loss bn:-1 -o out.png",
        2,
        &["0 or more"],
    );
    desk.refused(
        "texture style.png --style-loss bn:0 -o out.png",
        2,
        &["at least one"],
    );
}

#[test]
fn a_plan_knows_the_targets_columns() {
    let desk = Desk::new();
    let bytes = |loss: &str| {
        let line =
            format!("texture style.png --style-loss {loss} -s 64 --min-size 64 --dry-run --json");
        let plan = &desk.json(&line)["scales"][0];
        plan["given_bytes"].as_u64().expect("bytes")
    };
    // The columns of relu_conv1 alone: 31² of 64 channels.
    assert!(bytes("mmd-gaussian") > bytes("bn") + 31 * 31 * 64 * 4);
}

#[test]
fn a_sheet_has_the_sample_and_a_texture_for_each_layer() {
    let desk = Desk::new();
    let report = desk.json(
        "texture style.png --model vgg19 --sheet -s 32 --min-size 32 -i 5 -o sheet.png --json",
    );
    let textures = report["textures"].as_array().expect("textures");
    let layers: Vec<usize> = textures
        .iter()
        .map(|t| t["layers"].as_array().map_or(0, Vec::len))
        .collect();
    assert_eq!(layers, [1, 2, 3, 4]);
    assert_eq!(textures[3]["layers"][3], "relu4_1");
    assert_eq!(desk.load("sheet.png").size(), (5 * 32 + 6 * 8, 32 + 2 * 8));
    desk.refused(
        "texture style.png --sheet --trace t.json -o no.png",
        2,
        &["--sheet"],
    );
}
