use super::*;
use crate::spec::Recipe;

fn read(toml: &str) -> Result<Vec<TermSpec>, String> {
    let recipe = toml::from_str::<Recipe>(toml);
    recipe.map(|r| r.terms).map_err(|e| e.to_string())
}

fn one(toml: &str) -> TermSpec {
    let mut terms = read(&format!("[[term]]\n{toml}")).expect(toml);
    assert_eq!(terms.len(), 1);
    terms.remove(0)
}

/// Why a term is refused: when it is read, or when it is checked.
fn refusal(toml: &str) -> String {
    match read(&format!("seed = 1\n\n[[term]]\n{toml}")) {
        Err(message) => {
            assert!(message.contains("line 3, column 1"), "{toml}: {message}");
            message
        }
        Ok(terms) => {
            let error = terms[0].validate().expect_err(toml);
            error.to_string()
        }
    }
}

fn style() -> Style {
    Style {
        layers: vec![LayerWeight::new("relu1_1", 0.5), "relu2_1".into()],
        target: vec!["a.png".into(), "b.png".into()],
        target_weights: vec![1.0, 3.0],
        target_scale: vec![0.5],
        mask: Some("m.png".into()),
        target_mask: vec!["ma.png".into(), "mb.png".into()],
        relative: true,
    }
}

/// A term of every kind with a value in every field.
fn full() -> Vec<TermSpec> {
    let layers = || vec![LayerWeight::from("relu2_1")];
    let unmasked = Style {
        mask: None,
        target_mask: Vec::new(),
        ..style()
    };
    let (constant, degree) = (1.5, 3);
    let losses = StyleKind::LOSSES.iter().map(|loss| loss.kind);
    let styles = losses
        .chain([
            StyleKind::Mmd(MmdKernel::Poly { constant, degree }),
            StyleKind::Mmd(MmdKernel::Gaussian { sigma: Some(2.0) }),
        ])
        .map(|kind| {
            let masked = TermSpec::new(kind.of(style()));
            match masked.validate() {
                Ok(()) => masked.kind,
                Err(_) => kind.of(unmasked.clone()),
            }
        });
    let others: Vec<TermKind> = vec![
        Content {
            layers: layers(),
            mask: Some("m.png".into()),
            relative: true,
            ..Content::new("a.png")
        }
        .into(),
        Tv { beta: Some(1.5) }.into(),
        Activation {
            layers: layers(),
            channel: vec![3, 4],
            unit: Some(Position::At(1, 2)),
            square: true,
        }
        .into(),
        Energy::at("relu2_1").into(),
        Guide {
            layers: layers(),
            target: "a.png".into(),
        }
        .into(),
        Direction {
            cosine_power: 2.0,
            ..Direction::at("relu2_1", vec![1, i64::MAX as u64])
        }
        .into(),
        TermKind::Logit(Classes::new([Class::Index(3), Class::Name("cat".into())])),
        TermKind::CrossEntropy(Classes::new([Class::Index(3)])),
        Margin {
            class: vec![Class::Index(3)],
            untargeted: true,
            confidence: 20.0,
        }
        .into(),
        Inversion::at("relu2_1", "a.png").into(),
        AlphaNorm { alpha: 5.0 }.into(),
        L2 {}.into(),
    ];
    styles
        .chain(others)
        .map(|kind| TermSpec::new(kind).weight(-0.25))
        .collect()
}

#[test]
fn every_kind_is_read_as_it_was_written() {
    let mut recipe = Recipe::new();
    recipe.terms = full();
    for term in &recipe.terms {
        term.validate().expect("valid");
    }
    let text = toml::to_string(&recipe).expect("a recipe");
    assert_eq!(toml::from_str::<Recipe>(&text).expect("a recipe"), recipe);
    // As JSON, too, in which traces have it.
    let text = serde_json::to_string(&recipe).expect("a recipe");
    assert_eq!(serde_json::from_str::<Recipe>(&text).expect("it"), recipe);
    let names: std::collections::BTreeSet<_> =
        recipe.terms.iter().map(|term| term.kind.name()).collect();
    let kinds = read::kinds();
    let expected = kinds.iter().map(|kind| kind.name).collect();
    assert_eq!(names, expected);
}

#[test]
fn a_term_has_its_keys_beside_each_other() {
    let kernel = MmdKernel::Gaussian { sigma: Some(2.0) };
    let mmd = TermSpec::new(StyleKind::Mmd(kernel).of(Style::new(["a.png"])));
    let expected =
        "kind = \"mmd\"\ntarget = \"a.png\"\nkernel = \"gaussian\"\nsigma = 2.0\nweight = 1.0\n";
    assert_eq!(toml::to_string(&mmd).expect("a term"), expected);
}

/// What `--save-recipe` and checkpoints held when all kinds shared one struct: `weight` in the middle.
#[test]
fn the_keys_have_no_order() {
    let old = r#"
        [[term]]
        kind = "mmd"
        layers = ["relu1_1:0.2", "relu2_1"]
        target = ["a.png", "b.png"]
        target_weights = [1.0, 2.0]
        target_scale = 0.5
        weight = 0.75
        relative = true
        kernel = "poly"
        constant = 1.0
        degree = 3

        [[term]]
        weight = -1.0
        unit = "center"
        kind = "activation"
        channel = 7
        layers = ["relu2_1"]
    "#;
    let (constant, degree) = (1.0, 3);
    let mmd = StyleKind::Mmd(MmdKernel::Poly { constant, degree }).of(Style {
        layers: vec![LayerWeight::new("relu1_1", 0.2), "relu2_1".into()],
        target_weights: vec![1.0, 2.0],
        target_scale: vec![0.5],
        relative: true,
        ..Style::new(["a.png", "b.png"])
    });
    let activation = Activation {
        channel: vec![7],
        unit: Some(Position::Center),
        ..Activation::at("relu2_1")
    };
    let expected = [
        TermSpec::new(mmd).weight(0.75),
        TermSpec::new(activation).weight(-1.0),
    ];
    assert_eq!(read(old).expect("a recipe"), expected);
}

#[test]
fn whole_numbers_lists_and_defaults() {
    assert_eq!(
        one("kind = \"tv\"\nweight = 1000"),
        TermSpec::tv().weight(1000.0)
    );
    let tv = TermSpec::new(Tv { beta: Some(2.0) });
    assert_eq!(one("kind = \"tv\"\nbeta = 2"), tv);
    let gram = TermSpec::new(StyleKind::Gram.of(Style {
        target_scale: vec![2.0],
        target_weights: vec![1.0],
        ..Style::new(["a.png"])
    }));
    for target in ["\"a.png\"", "[\"a.png\"]"] {
        let text =
            format!("kind = \"gram\"\ntarget = {target}\ntarget_scale = 2\ntarget_weights = [1]");
        assert_eq!(one(&text), gram);
        let content = one(&format!("kind = \"content\"\ntarget = {target}"));
        assert_eq!(content, TermSpec::content("a.png"));
    }
    let kernel = |keys: &str| {
        let text = format!("kind = \"mmd\"\ntarget = \"a.png\"\n{keys}");
        let term = one(&text);
        let (_, kind) = term.kind.style().expect("a style");
        kind.kernel().expect("a kernel")
    };
    assert_eq!(kernel("kernel = \"poly\""), MmdKernel::SQUARE);
    let (constant, degree) = (1.0, 2);
    assert_eq!(
        kernel("kernel = \"poly\"\nconstant = 1"),
        MmdKernel::Poly { constant, degree }
    );
    let sigma = Some(2.0);
    assert_eq!(
        kernel("kernel = \"gaussian\"\nsigma = 2"),
        MmdKernel::Gaussian { sigma }
    );
    assert_eq!(
        one("kind = \"alpha_norm\"").kind,
        AlphaNorm::default().into()
    );
    let direction = one("kind = \"direction\"\nlayers = [\"a\"]\ndirection = 9223372036854775807");
    assert_eq!(
        direction.kind,
        Direction::at("a", vec![i64::MAX as u64]).into()
    );
    assert_eq!(
        one("kind = \"logit\"\nclass = [3, \"cat\"]"),
        TermSpec::logit([Class::Index(3), Class::Name("cat".into())])
    );
}

#[test]
fn what_is_wrong_with_a_term_is_told() {
    let gram = "kind = \"gram\"\ntarget = \"a.png\"\n";
    let mmd = "kind = \"mmd\"\ntarget = \"a.png\"\n";
    for (toml, words) in [
        ("weight = 1.0", &["missing field `kind`"][..]),
        ("kind = 3", &["invalid type: integer `3`", "`kind`"]),
        (
            "kind = \"gramm\"",
            &["`gramm`", "`gram`", "`cross_entropy`", "`l2`"],
        ),
        (
            "kind = \"tv\"\nmask = \"m.png\"",
            &[
                "term `tv`: takes no `mask`; that is for content and gram and mmd and bn and wasserstein",
            ],
        ),
        (
            "kind = \"content\"\ntarget = \"a.png\"\ntarget_scale = 2.0",
            &[
                "term `content`: takes no `target_scale`; that is for gram and mmd and bn and wasserstein",
            ],
        ),
        (
            "kind = \"l2\"\nkernel = \"poly\"",
            &["term `l2`: takes no `kernel`; that is for mmd"],
        ),
        (
            "kind = \"logit\"\nclass = 3\nlayers = [\"relu1_1\"]",
            &["term `logit`: takes no `layers`; that is for content and gram"],
        ),
        (
            "kind = \"tv\"\ntarget = \"a.png\"",
            &["term `tv`: takes no `target`; that is for"],
        ),
        (
            "kind = \"tv\"\nbetta = 1",
            &["term `tv`: unknown field `betta`, expected one of `kind`, `weight`, `beta`"],
        ),
        (
            "kind = \"mmd\"\nsigna = 1",
            &[
                "unknown field `signa`",
                "`target_scale`",
                "`kernel`",
                "`sigma`",
            ],
        ),
        (
            "kind = \"tv\"\nweight = \"much\"",
            &["term `tv`: invalid type: string \"much\", expected f64 in `weight`"],
        ),
        (
            "kind = \"activation\"\nunit = \"a,b\"",
            &["term `activation`: `a,b` is no position", "in `unit`"],
        ),
        (
            "kind = \"content\"\ntarget = \"a.png\"\nlayers = [\"a:b\"]",
            &["term `content`: `a:b`: `b` is not a weight", "in `layers"],
        ),
        (
            "kind = \"tv\"\nweight = inf",
            &[
                "term `tv`: the weight is inf; it must be a number from -1e12 to 1e12. Only the ratios",
            ],
        ),
        (
            "kind = \"energy\"\nlayers = [\"a\", \"b:1e7\"]\nweight = -1e6",
            &[
                "term `energy`: the weight is -1e13",
                "with the weight of layer `b` in it",
            ],
        ),
        (
            "kind = \"tv\"\nbeta = 0.5",
            &["term `tv`: `beta` must be a number of at least 1"],
        ),
        (
            "kind = \"alpha_norm\"\nalpha = nan",
            &["`alpha` must be a number of at least 1"],
        ),
        (
            "kind = \"gram\"",
            &["term `gram`: needs a `target` picture"],
        ),
        (
            "kind = \"gram\"\ntarget = []",
            &["term `gram`: needs a `target` picture"],
        ),
        (
            "kind = \"guide\"",
            &["term `guide`: needs a `target` picture"],
        ),
        (
            "kind = \"inversion\"\ntarget = []",
            &["term `inversion`: needs a `target` picture"],
        ),
        (
            "kind = \"content\"\ntarget = [\"a\", \"b\"]",
            &["term `content`: takes one target picture"],
        ),
        (
            &format!("{gram}target_weights = [1, 2]"),
            &["2 weights for 1 target"],
        ),
        (
            &format!("{gram}target_weights = [0]"),
            &["must be 0 or more, and not all 0"],
        ),
        (
            &format!("{gram}target_scale = 0"),
            &["`target_scale` must be a number greater than 0"],
        ),
        (
            &format!("{gram}target_mask = [\"a\", \"b\"]"),
            &["`target_mask` has 2 for 1 target"],
        ),
        (
            mmd,
            &["term `mmd`: needs a `kernel`: linear, poly or gaussian"],
        ),
        (
            &format!("{mmd}kernel = \"cubic\""),
            &["`cubic`", "`linear`, `poly`, `gaussian`"],
        ),
        (
            &format!("{mmd}kernel = \"linear\"\ndegree = 2"),
            &["`constant` and `degree` are for the kernel poly"],
        ),
        (
            &format!("{mmd}kernel = \"poly\"\nsigma = 2.0"),
            &["`sigma` is for the kernel gaussian"],
        ),
        (
            &format!("{mmd}kernel = \"poly\"\ndegree = 9"),
            &["`degree` must be a whole number from 1 to 8"],
        ),
        (
            &format!("{mmd}kernel = \"poly\"\nconstant = -1"),
            &["`constant` must be a number, 0 or more"],
        ),
        (
            &format!("{mmd}kernel = \"gaussian\"\nsigma = 0"),
            &["`sigma` must be a number greater than 0"],
        ),
        (
            &format!("{mmd}kernel = \"gaussian\"\nmask = \"m.png\""),
            &["takes no mask with this kernel"],
        ),
        ("kind = \"margin\"", &["term `margin`: needs a `class`"]),
        (
            "kind = \"margin\"\nclass = 1\nconfidence = -1",
            &["`confidence` must be a number, 0 or more"],
        ),
        (
            "kind = \"direction\"",
            &["term `direction`: needs a `direction`: the seed"],
        ),
        (
            "kind = \"direction\"\ndirection = 1\ncosine_power = -1",
            &["`cosine_power` must be a number, 0 or more"],
        ),
    ] {
        let message = refusal(toml);
        for word in words {
            assert!(message.contains(word), "{toml}: no {word:?} in {message}");
        }
    }
}

#[test]
fn pictures_are_found_in_their_order() {
    let mut recipe = Recipe::new().init("start.png".parse().expect("a picture"));
    recipe.terms = vec![TermSpec::new(StyleKind::Gram.of(style()))];
    let names: Vec<String> = recipe.pictures_mut().map(|p| p.to_string()).collect();
    let expected = ["start", "a", "b", "m", "ma", "mb"];
    assert_eq!(names, expected.map(|name| format!("'{name}.png'")));
}

#[test]
#[should_panic(expected = "a term `tv` has no layers")]
fn a_term_of_the_image_has_no_layers() {
    let _ = TermSpec::tv().layers(["relu1_1"]);
}
