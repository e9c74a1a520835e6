"""What a network sees, compared with the command line and with PyTorch."""

import numpy as np
import pytest
from conftest import pixels

import pixgrad


def test_classify_equals_the_command_line(cli, network, content):
    [expected] = cli("classify", content, "--top", 3)
    found = network.classify(content, top=3)
    assert [score.index for score in found] == [score["class"] for score in expected["top"]]
    for score, other in zip(found, expected["top"]):
        assert score.label == other["label"]
        assert score.probability == pytest.approx(other["probability"], rel=1e-6)
        assert score.logit == pytest.approx(other["logit"], rel=1e-6)


def test_features_equal_the_command_line(cli, network, content, tmp_path):
    from safetensors.numpy import load_file

    output = tmp_path / "f.safetensors"
    cli("features", content, "--layers", "fire2/concat,conv10", "--size", 96, "-o", output)
    expected = load_file(output)
    found = network.features(content, "fire2/concat,conv10", size=96)
    assert list(found) == ["fire2/concat", "conv10"]
    for name, array in found.items():
        assert array.dtype == np.float32 and np.array_equal(array, expected[name])


def test_a_gradient_equals_the_command_line(cli, network, content, tmp_path, cat):
    from PIL import Image
    from safetensors.numpy import load_file

    Image.fromarray(cat).save(tmp_path / "cat.png")
    (tmp_path / "r.toml").write_text(
        'model = "squeezenet1_1"\n[image]\ninit = "cat.png"\n'
        '[[term]]\nkind = "logit"\nclass = 285\nweight = -1\n[[term]]\nkind = "tv"\nweight = 3\n'
    )
    cli("grad", tmp_path / "r.toml", "-o", tmp_path / "g.safetensors")
    expected = load_file(tmp_path / "g.safetensors")
    terms = [{"kind": "logit", "class": 285, "weight": -1}, {"kind": "tv", "weight": 3}]
    found = network.gradient(cat, terms)
    assert found.loss == expected["loss"][0] and len(found.terms) == 2
    assert np.array_equal(found.gradient, expected["gradient"].transpose(1, 2, 0))
    # A batch is as its pictures alone.
    other = cat[::-1].copy()
    batch = network.gradient(np.stack([cat, other]), terms)
    assert batch.gradient.shape == (2, 64, 96, 3)
    alone = network.gradient(other, terms)
    assert np.allclose(batch.gradient[1], alone.gradient, rtol=1e-4, atol=1e-7)
    assert batch.loss == pytest.approx(found.loss + alone.loss, rel=1e-5)


def test_a_gradient_equals_pytorchs(network, cat):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from safetensors.torch import load_file

    from conftest import ROOT

    weights = load_file(ROOT / "samples" / "models" / "squeezenet1_1.safetensors")
    weights = {name: value.double() for name, value in weights.items()}

    def conv(x, name, **options):
        return torch.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], **options).relu()

    def fire(x, number):
        squeezed = conv(x, f"features.{number}.squeeze")
        return torch.cat(
            [
                conv(squeezed, f"features.{number}.expand1x1"),
                conv(squeezed, f"features.{number}.expand3x3", padding=1),
            ],
            1,
        )

    def pool(x):
        return torch.nn.functional.max_pool2d(x, 3, 2, ceil_mode=True)

    pixels = torch.tensor(cat.transpose(2, 0, 1)[None].astype(np.float64) / 255, requires_grad=True)
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64).view(1, 3, 1, 1)
    x = pool(conv((pixels - mean) / std, "features.0", stride=2))
    x = pool(fire(fire(x, 3), 4))
    x = pool(fire(fire(x, 6), 7))
    for number in (9, 10, 11, 12):
        x = fire(x, number)
    logits = conv(x, "classifier.1").mean((2, 3))
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor([285]))
    loss.backward()
    expected = pixels.grad[0].numpy().transpose(1, 2, 0)

    found = network.gradient(cat, [{"kind": "cross_entropy", "class": 285}])
    assert found.loss == pytest.approx(loss.item(), rel=1e-5)
    error = np.linalg.norm(found.gradient - expected) / np.linalg.norm(expected)
    assert error < 1e-4, error


def test_attacks_leave_a_class_or_reach_one(network, content, painting):
    found = network.attack([content, painting], method="fgsm", size=96)
    assert len(found) == 2 and any(result.success for result in found)
    for result in found:
        assert result.linf <= 8 / 255 + 1e-6
        assert result.success == (result.adversarial.index != result.clean.index)
        seen = network.classify(result.image(), size="native", top=1)[0]
        assert seen.index == result.adversarial.index
    # With true labels, a picture that is seen as something else already is left alone.
    own = found[0].clean.index
    labelled = network.attack([content, content], [own, (own + 1) % 1000], method="fgsm", size=96)
    assert labelled[0].linf > 0
    assert labelled[1].already_seen and not labelled[1].success and labelled[1].linf == 0
    [reached] = network.attack(content, target="goldfish", steps=20, epsilon="16/255", size=96)
    assert reached.success and reached.adversarial.label == "goldfish"
    with pytest.raises(pixgrad.RecipeError, match="epsilon: cw does not have it"):
        network.attack(content, method="cw", epsilon=0.1)
    with pytest.raises(pixgrad.RecipeError, match="2 targets for 1 pictures"):
        network.attack(content, [1, 2])
    with pytest.raises(pixgrad.RecipeError, match="give one"):
        network.attack(content, [1], target=2)


def test_attacks_equal_the_command_line(cli, network, content, tmp_path):
    [expected] = cli("attack", content, "--method", "bim", "--steps", 3, "-o", tmp_path / "a.png")
    [found] = network.attack(content, method="bim", steps=3)
    assert found.adversarial.index == expected["adversarial"]["class"]
    assert found.l2 == pytest.approx(expected["l2"], rel=1e-6)
    assert found.iterations == expected["iterations"]


def test_search_and_transfer_tell_what_the_command_line_tells(cli, cpu, network, content, painting, tmp_path):
    import shutil

    folder = tmp_path / "pictures"
    folder.mkdir()
    for path in (content, painting):
        shutil.copy(path, folder)
    expected = cli("search", folder, "--layer", "fire2/concat", "--unit", "3,7", "-o", tmp_path / "s.png")
    found = network.search(folder, "fire2/concat", unit=[3, 7])
    assert found["images"] == 2 and len(found["queries"]) == 2
    for query, other in zip(found["queries"], expected["queries"]):
        assert query["channel"] == other["channel"]
        assert [hit["image"] for hit in query["top"]] == [hit["image"] for hit in other["top"]]
        scores = [[hit["score"] for hit in answer["top"]] for answer in (query, other)]
        assert scores[0] == pytest.approx(scores[1], rel=1e-6)

    other = pixgrad.Network("squeezenet1_1", cpu, preprocessing="zero-one")
    tables = pixgrad.transfer([content, painting], [network, other], method="fgsm", size=64)
    assert [row["made_for"] for row in tables[0]["rows"]] == ["squeezenet1_1", "squeezenet1_1", "noise", "original"]
    assert tables[0]["rows"][-1]["fooled"] == [0.0, 0.0]


def test_names_and_layers(network):
    assert network.name == "squeezenet1_1"
    assert "fire2/concat" in network.layers
    assert network.class_names[1] == "goldfish"


def test_an_evolution_equals_the_command_lines(cli, cpu, tmp_path):
    options = {"size": 32, "population": 8, "generations": 6, "seed": 5}
    given = [text for name, value in options.items() for text in (f"--{name}", value)]
    output = tmp_path / "fool.png"
    report = cli("fool", "--class", "goldfish", "--method", "evolve", *given, "-o", output)
    network = pixgrad.Network("squeezenet1_1", cpu)
    seen = []
    [goldfish] = network.evolve("goldfish", progress=lambda number, _: seen.append(number), **options)
    assert seen == list(range(6))
    assert (goldfish.index, goldfish.label) == (1, "goldfish")
    assert goldfish.probability == pytest.approx(report["probability"])
    assert np.array_equal(goldfish.image(), pixels(output))
    # Of all classes, and ended by the caller.
    found = network.evolve(top=3, progress=lambda number, _: number < 2, **options)
    probabilities = [one.probability for one in found]
    assert len(found) == 3 and probabilities == sorted(probabilities, reverse=True)
    with pytest.raises(pixgrad.Error, match="population"):
        network.evolve(population=0)
    with pytest.raises(pixgrad.Error, match="no_such"):
        network.evolve(no_such=1)
