//! Attacks and their transfer, on small pictures with the embedded network on the `cpu` device.

use std::ops::ControlFlow;

use pixgrad::engine::image::{self, Filter};
use pixgrad::engine::methods::classify::{Score, Size, prepared};
use pixgrad::engine::methods::{Adversarial, Aim, Attack, AttackMethod, attack, top_one};
use pixgrad::terms::Class;
use pixgrad::{BallNorm, Init, Picture, TermSpec};
use pixgrad::{Device, Image, Network, Recipe};

use super::{Desk, sample, samples};

const SIDE: u32 = 64;
/// Tailed frog: nobody's class here.
const TARGET: usize = 32;

fn network() -> Network {
    Network::load(&Device::cpu(), "squeezenet1_1").expect("embedded")
}

fn pictures() -> Vec<Image> {
    ["chelsea.png", "coffee.jpg"]
        .map(|name| sample(name, SIDE, SIDE))
        .to_vec()
}

fn attacked(images: &[Image], aim: &Aim, numbers: &Attack) -> Vec<Adversarial> {
    attack(&network(), images, aim, numbers, &mut |_| {
        ControlFlow::Continue(())
    })
    .expect("an attack")
}

fn reach(images: &[Image]) -> Aim {
    Aim::Reach(vec![TARGET; images.len()])
}

fn class(score: &Score) -> usize {
    score.class
}

/// ε as an f32 sum of x and ε may miss it.
fn within(result: &Adversarial, epsilon: f32) {
    let linf = result.distance.linf;
    assert!(linf <= f64::from(epsilon) + 1e-7, "{linf}");
    assert!(result.image.rgb.iter().all(|v| (0.0..=1.0).contains(v)));
}

#[test]
fn fgsm_is_one_step_along_the_sign_of_the_gradient() {
    let images = pictures();
    let clean = top_one(&network(), &images).expect("scores");
    let numbers = Attack::new(AttackMethod::Fgsm);
    for (aim, sign) in [(reach(&images), 1.0), (Aim::Leave, -1.0)] {
        let results = attacked(&images, &aim, &numbers);
        for ((image, own), result) in images.iter().zip(&clean).zip(&results) {
            let class = if sign > 0.0 { TARGET } else { class(own) };
            let mut recipe = Recipe::new().init(Init::Picture(Picture::from(image.clone())));
            let class = Class::Index(class as u32);
            recipe.terms = vec![TermSpec::cross_entropy([class]).weight(sign)];
            let gradient = recipe.gradient(&network()).expect("a gradient").gradient;
            let pixels = (SIDE * SIDE) as usize;
            // Where the gradient is nearly 0 its sign may depend on the order of a sum.
            let least = 1e-6 * gradient.iter().fold(0f32, |most, g| most.max(g.abs()));
            let mut compared = 0;
            for (i, x) in image.rgb.iter().enumerate() {
                let g = gradient[(i % 3) * pixels + i / 3];
                if g.abs() > least {
                    let expected = (x - numbers.epsilon * g.signum()).clamp(0.0, 1.0);
                    let found = result.image.rgb[i];
                    assert_eq!(found, expected, "element {i}");
                    compared += 1;
                }
            }
            assert!(compared > 2 * pixels, "{compared}");
            within(result, numbers.epsilon);
            assert_eq!(result.iterations, 1);
        }
    }
}

#[test]
fn bounded_attacks_reach_the_target_within_epsilon() {
    let images = pictures();
    for (method, norm) in [
        (AttackMethod::Bim, BallNorm::Linf),
        (AttackMethod::MiFgsm, BallNorm::Linf),
        (AttackMethod::Pgd, BallNorm::Linf),
        (AttackMethod::Pgd, BallNorm::L2),
    ] {
        let mut numbers = Attack::new(method);
        (numbers.norm, numbers.steps) = (norm, Some(40));
        if norm == BallNorm::L2 {
            numbers.epsilon = 3.0;
        }
        for result in attacked(&images, &reach(&images), &numbers) {
            assert!(result.success, "{method:?} {norm:?}: {result:?}");
            assert_eq!(class(&result.adversarial), TARGET);
            match norm {
                BallNorm::Linf => within(&result, numbers.epsilon),
                BallNorm::L2 => assert!(result.distance.l2 <= 3.0 + 1e-4, "{:?}", result.distance),
            }
        }
    }
}

#[test]
fn a_picture_of_a_batch_is_attacked_as_if_alone() {
    let images = pictures();
    let mut numbers = Attack::new(AttackMethod::Bim);
    numbers.steps = Some(3);
    let together = attacked(&images, &reach(&images), &numbers);
    let alone = attacked(&images[1..], &reach(&images[1..]), &numbers);
    assert_eq!(together[1].image, alone[0].image);
    // Pictures of several sizes, too, and in their order.
    let mixed = [
        images[0].clone(),
        sample("rocket.jpg", 80, 72),
        images[1].clone(),
    ];
    let results = attacked(&mixed, &reach(&mixed), &numbers);
    assert_eq!(results[2].image, alone[0].image);
    assert_eq!(results[1].image.size(), (80, 72));
}

#[test]
fn the_smallest_changes_reach_the_target() {
    let images = pictures();
    let mut bim = Attack::new(AttackMethod::Bim);
    bim.steps = Some(40);
    let bounded = attacked(&images, &reach(&images), &bim);
    let mut l2 = Vec::new();
    for method in [AttackMethod::Lbfgs, AttackMethod::Cw] {
        let results = attacked(&images, &reach(&images), &Attack::new(method));
        for (result, bounded) in results.iter().zip(&bounded) {
            assert!(result.success, "{method:?}: {:?}", result.adversarial);
            assert!(result.c.is_some_and(|c| c > 0.0));
            assert!(result.image.rgb.iter().all(|v| (0.0..=1.0).contains(v)));
            let (small, large) = (result.distance.l2, bounded.distance.l2);
            assert!(small < 0.6 * large, "{method:?}: {small}, bim {large}");
        }
        l2.push(results.iter().map(|r| r.distance.l2).sum::<f64>());
    }
    assert!(l2[0] < 1.1 * l2[1] && l2[1] < 1.3 * l2[0], "{l2:?}");
}

#[test]
fn confidence_goes_beyond_the_border() {
    let images = &pictures()[..1];
    let mut numbers = Attack::new(AttackMethod::Cw);
    let near = attacked(images, &reach(images), &numbers).remove(0);
    numbers.confidence = 5.0;
    let far = attacked(images, &reach(images), &numbers).remove(0);
    assert!(near.success && far.success);
    assert!(far.adversarial.probability > near.adversarial.probability + 0.2);
    assert!(far.distance.l2 > near.distance.l2);
}

#[test]
fn deepfool_leaves_the_class_by_a_small_change() {
    let images = pictures();
    let results = attacked(&images, &Aim::Leave, &Attack::new(AttackMethod::DeepFool));
    let fgsm = attacked(&images, &Aim::Leave, &Attack::new(AttackMethod::Fgsm));
    for (result, fgsm) in results.iter().zip(fgsm) {
        assert!(result.success, "{result:?}");
        assert_ne!(class(&result.adversarial), class(&result.clean));
        assert!(
            (1..20).contains(&result.iterations),
            "{}",
            result.iterations
        );
        assert!(result.distance.l2 < 0.3 * fgsm.distance.l2);
    }
}

#[test]
fn rounded_images_succeed_and_stay_within_epsilon() {
    let images = pictures();
    for method in [
        AttackMethod::Bim,
        AttackMethod::Lbfgs,
        AttackMethod::Cw,
        AttackMethod::DeepFool,
    ] {
        let mut numbers = Attack::new(method);
        numbers.survive_8bit = true;
        let aim = if method == AttackMethod::DeepFool {
            Aim::Leave
        } else {
            numbers.steps = Some(100);
            reach(&images)
        };
        for result in attacked(&images, &aim, &numbers) {
            assert!(result.success, "{method:?}: {:?}", result.adversarial);
            let bytes = result.image.to_rgb8();
            let again = Image::from_rgb8(SIDE, SIDE, &bytes).expect("an image");
            assert_eq!(again, result.image, "{method:?}");
            if method == AttackMethod::Bim {
                within(&result, numbers.epsilon);
            }
        }
    }
}

#[test]
fn an_8_bit_file_stays_in_the_l2_ball() {
    // One picture off the 8-bit grid, one on it.
    let mut images = pictures();
    let bytes = images[1].to_rgb8();
    images[1] = Image::from_rgb8(SIDE, SIDE, &bytes).expect("an image");
    for epsilon in [0.15, 0.3] {
        let numbers = Attack {
            norm: BallNorm::L2,
            epsilon,
            survive_8bit: true,
            ..Attack::new(AttackMethod::Pgd)
        };
        for result in attacked(&images, &Aim::Leave, &numbers) {
            let l2 = result.distance.l2;
            assert!(l2 <= f64::from(epsilon), "{l2} for {epsilon}");
            let bytes = result.image.to_rgb8();
            let again = Image::from_rgb8(SIDE, SIDE, &bytes).expect("an image");
            assert_eq!(again, result.image);
            assert!(result.success || epsilon < 0.3, "{result:?}");
        }
    }
}

#[test]
fn lbfgs_leaves_a_class_by_a_change_as_small_as_others_find() {
    let images = pictures();
    let lengths = |method| -> Vec<f64> {
        let results = attacked(&images, &Aim::Leave, &Attack::new(method));
        assert!(results.iter().all(|r| r.success), "{method:?}");
        results.iter().map(|r| r.distance.l2).collect()
    };
    let lbfgs = lengths(AttackMethod::Lbfgs);
    let (cw, deepfool) = (lengths(AttackMethod::Cw), lengths(AttackMethod::DeepFool));
    for ((lbfgs, cw), deepfool) in lbfgs.iter().zip(&cw).zip(&deepfool) {
        assert!(*lbfgs <= 1.05 * cw, "{lbfgs}, cw {cw}");
        assert!(*lbfgs <= 2.0 * deepfool, "{lbfgs}, deepfool {deepfool}");
    }
}

#[test]
fn a_target_that_is_seen_already_is_not_counted() {
    let images = pictures();
    let clean = top_one(&network(), &images).expect("scores");
    let seen = clean[0].class;
    let mut numbers = Attack::new(AttackMethod::Bim);
    numbers.steps = Some(40);
    let results = attacked(&images, &Aim::Reach(vec![seen, TARGET]), &numbers);
    assert!(results[0].already_seen && !results[0].success);
    assert_eq!(results[0].image, images[0], "left as it was");
    assert!(!results[1].already_seen && results[1].success);

    let desk = Desk::new();
    desk.picture("seen.png", &images[0]);
    let line = format!("attack seen.png --target {seen} --size native -q -o out");
    let text = desk.done(&line);
    assert!(text.contains("0 of 0 succeed"), "{text}");
    assert!(text.contains("seen already in 1"), "{text}");
    let json = desk.json(&format!("{line} --json"));
    assert_eq!(json[0]["already_seen"], true);
    assert_eq!(json[0]["success"], false);
    assert_eq!(json[0]["success_8bit"], false);
    assert_eq!(json[0]["noise_factor"], 1.0);
}

#[test]
fn random_targets_are_others_and_come_from_the_seed() {
    let images = pictures();
    let mut numbers = Attack::new(AttackMethod::Fgsm);
    let targets = |numbers: &Attack| {
        let results = attacked(&images, &Aim::Random, numbers);
        let of = |r: &Adversarial| {
            assert_ne!(r.target, Some(class(&r.clean)));
            r.target
        };
        results.iter().map(of).collect::<Vec<_>>()
    };
    let first = targets(&numbers);
    assert_eq!(targets(&numbers), first);
    numbers.seed = 1;
    assert_ne!(targets(&numbers), first);
}

#[test]
fn the_report_tells_what_the_file_holds() {
    let desk = Desk::new();
    desk.picture("coffee.png", &sample("coffee.jpg", 80, 64));
    let line = "attack content.png coffee.png --target 32 --size 64 --steps 40 -o out --json -q";
    let json = desk.json(line);
    let answers = json.as_array().expect("an array");
    assert_eq!(answers.len(), 2);
    for (answer, stem) in answers.iter().zip(["content", "coffee"]) {
        assert_eq!(answer["image"], format!("{stem}.png"));
        assert_eq!(answer["method"], "bim");
        assert_eq!(answer["objective"], "cross_entropy(target)");
        assert_eq!(answer["target"]["class"], 32);
        assert_eq!(answer["target"]["label"], "tailed frog");
        for score in ["clean", "adversarial", "adversarial_8bit"] {
            assert!(answer[score]["class"].is_u64(), "{answer}");
            assert!(answer[score]["label"].is_string(), "{answer}");
            let p = answer[score]["probability"].as_f64().expect("a number");
            assert!((0.0..=1.0).contains(&p));
        }
        assert_eq!(answer["success"], true);
        assert_eq!(answer["success_8bit"], true);
        assert_eq!(answer["iterations"], 40);
        let number = |key: &str| answer[key].as_f64().expect(key);
        assert!(number("linf") <= 8.0 / 255.0 + 1e-7);
        let n = f64::from(64 * 64 * 3);
        assert!((number("rms") * n.sqrt() / number("l2") - 1.0).abs() < 1e-6);
        // Rounding moves each value by at most half a step.
        let half = 0.5 / 255.0 + 1e-7;
        assert!((number("linf_8bit") - number("linf")).abs() <= half);
        assert!((number("l2_8bit") - number("l2")).abs() <= half * n.sqrt());
        assert!(number("rms_8bit") > 0.0);
        // The file is judged by classify alike.
        let path = format!("out/{stem}-adversarial.png");
        let top = desk.json(&format!("classify {path} --size native --top 1 --json -q"));
        assert_eq!(
            top[0]["top"][0]["class"],
            answer["adversarial_8bit"]["class"]
        );
        assert_eq!(desk.load(&path).size(), (64, 64));
        assert_eq!(
            desk.load(&format!("out/{stem}-panel.png")).size(),
            (208, 72)
        );
        let noise = desk.load(&format!("out/{stem}-noise.png"));
        let extremes = noise.rgb.iter().filter(|v| **v < 0.01 || **v > 0.99);
        assert!(
            extremes.count() > 0,
            "the largest change reaches the end of the range"
        );
    }
}

#[test]
fn one_picture_may_go_to_a_file_and_people_get_a_table() {
    let desk = Desk::new();
    let stdout = desk.done("attack content.png --method deepfool --size native -o x.png -q");
    assert!(stdout.contains("1 of 1 succeed"), "{stdout}");
    assert!(stdout.contains("content.png"), "{stdout}");
    let files = desk.files();
    for name in ["x.png", "x-noise.png", "x-panel.png"] {
        assert!(files.iter().any(|f| f == name), "{files:?}");
    }
    assert_eq!(desk.load("x.png").size(), (64, 48));
}

#[test]
fn an_attack_is_also_a_recipe() {
    let mut recipe = Recipe::read(&samples().join("recipes/attack.toml")).expect("a recipe");
    recipe.image.size = Some(128);
    let network = network();
    let mut run = recipe.compile(network.device(), &network).expect("a run");
    run.run(|_| ControlFlow::Continue(())).expect("it runs");
    let score = top_one(&network, &[run.image().expect("an image")]).expect("a score");
    assert_eq!(score[0].class, 285, "{score:?}");
}

#[test]
fn attacks_that_cannot_be_are_refused() {
    let desk = Desk::new();
    std::fs::write(desk.path("broken.png"), "not a picture").expect("written");
    let refused = |line: &str, code, words: &[&str]| {
        desk.refused(&format!("attack {line}"), code, words);
    };
    refused(
        "content.png --target 1000",
        1,
        &["1000 classes", "no class 1000"],
    );
    refused(
        "content.png --target cat",
        1,
        &["Egyptian cat", "tiger cat"],
    );
    refused("content.png --target 1000000000000", 1, &["1000000000000"]);
    refused("content.png --epsilon 0", 2, &["greater than 0"]);
    refused("content.png --epsilon=-8/255", 2, &["greater than 0"]);
    refused("content.png --method cw --c 0", 2, &["greater than 0"]);
    refused(
        "content.png --method cw --epsilon 8/255",
        2,
        &["--epsilon: cw does not have it"],
    );
    refused(
        "content.png --method fgsm --steps 3",
        2,
        &["--steps: fgsm does not have it"],
    );
    refused(
        "content.png --model vgg19",
        1,
        &["classifier", "squeezenet1_1"],
    );
    refused("broken.png", 1, &["broken.png"]);
    refused("nothing.png", 1, &["nothing.png"]);
    refused("content.png style.png -o x.png", 2, &["folder"]);
    refused("content.png -o x.jpg", 2, &[".png"]);
    refused("content.png content.png", 2, &["two pictures"]);
    refused("content.png --method deepfool --target 3", 1, &["deepfool"]);
    refused("content.png --size 0", 2, &["pixels"]);
    refused(
        "content.png --size native --epsilon 0.3/255 --survive-8bit",
        1,
        &["1/255"],
    );
}

#[test]
fn images_made_for_a_network_fool_its_copy() {
    let desk = Desk::new();
    let folder = desk.path("set");
    std::fs::create_dir(&folder).expect("a folder");
    for name in ["chelsea.png", "coffee.jpg", "rocket.jpg"] {
        let image = image::load(samples().join("images").join(name)).expect("a sample");
        let small = image.resize(90, 80, Filter::Bilinear).expect("resized");
        let path = format!("set/{}", name.replace("jpg", "png"));
        desk.picture(&path, &small);
    }
    std::fs::write(folder.join("notes.txt"), "no picture").expect("written");
    let weights = samples().join("models/squeezenet1_1.safetensors");
    std::fs::copy(weights, desk.path("copy.safetensors")).expect("a copy");
    let json = desk.json(
        "transfer set --models squeezenet1_1,copy.safetensors --size 64 --csv t.csv -o t.png --survive-8bit \
         --keep made --json -q",
    );
    assert_eq!(json["images"].as_array().map(Vec::len), Some(3));
    assert_eq!(json["skipped"].as_array().map(Vec::len), Some(1));
    let row = |table: &str, i: usize| -> Vec<f64> {
        let fooled = &json[table]["rows"][i]["fooled"];
        let cells = fooled.as_array().expect("cells").iter();
        cells.map(|v| v.as_f64().expect("a number")).collect()
    };
    for i in 0..2 {
        assert_eq!(row("as_made", i), [1.0, 1.0], "untargeted bim fools both");
        let one = row("at_one_rms", i);
        assert_eq!(one[0], one[1]);
    }
    let names: Vec<_> = (0..4)
        .map(|i| json["as_made"]["rows"][i]["made_for"].clone())
        .collect();
    assert_eq!(
        names,
        ["squeezenet1_1", "copy.safetensors", "noise", "original"]
    );
    assert_eq!(row("as_made", 3), [0.0, 0.0]);
    let rms = |table: &str, i: usize| {
        let row = &json[table]["rows"][i]["mean_rms"];
        row.as_f64().expect("a number")
    };
    assert!((rms("as_made", 0) / rms("as_made", 2) - 1.0).abs() < 1e-3);
    for i in 0..3 {
        assert!((rms("at_one_rms", i) / 0.03 - 1.0).abs() < 1e-3);
    }
    // The files that are kept are those of the first table.
    for (i, model) in ["squeezenet1_1", "copy"].iter().enumerate() {
        let kept: Vec<_> = ["chelsea", "coffee", "rocket"]
            .map(|name| format!("made/{model}/{name}.png"))
            .to_vec();
        let told = &json["kept"][i];
        assert_eq!(told, &serde_json::json!(kept));
        let pictures: Vec<Image> = kept.iter().map(|path| desk.load(path)).collect();
        let now = top_one(&network(), &pictures).expect("scores");
        let originals: Vec<Image> = ["chelsea", "coffee", "rocket"]
            .map(|name| {
                let original = desk.load(&format!("set/{name}.png"));
                prepared(&original, Size::Crop(64)).expect("a square")
            })
            .to_vec();
        let before = top_one(&network(), &originals).expect("scores");
        let fooled = now
            .iter()
            .zip(&before)
            .filter(|(a, b)| class(a) != class(b));
        assert_eq!(fooled.count(), 3, "{model}");
    }
    let csv = std::fs::read_to_string(desk.path("t.csv")).expect("a file");
    assert_eq!(csv.lines().count(), 9);
    assert_eq!(desk.load("t.png").size(), (2 * 102 + 3 * 16, 202 + 2 * 16));
}

#[test]
fn transfers_that_cannot_be_are_refused() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("empty")).expect("a folder");
    let refused = |line: &str, code, words: &[&str]| {
        desk.refused(&format!("transfer {line}"), code, words);
    };
    refused("empty --models squeezenet1_1", 1, &["empty", "no readable"]);
    refused("nowhere --models squeezenet1_1", 1, &["nowhere"]);
    refused("empty", 2, &["--models"]);
    refused("empty --models vgg19", 1, &["classifier", "squeezenet1_1"]);
    refused("empty --models vgg20", 1, &["vgg20"]);
    refused(
        "empty --models squeezenet1_1 --rms 0",
        2,
        &["greater than 0"],
    );
}
