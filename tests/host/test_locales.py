"""locales/ against the nodes' own schemas: the keys that the frontend reads, all of them and no others."""

import json
import re
import shutil
from copy import deepcopy
from pathlib import Path

import folder_paths
import pytest
from app.custom_node_manager import CustomNodeManager

ROOT = Path(__file__).parents[2]
CHINESE = re.compile("[\u4e00-\u9fff]")
SAME_IN_CHINESE = {"HiCacheReport.outputs.2.name": "JSON"}
SYNTAX = set("{}@|$")  # of the frontend's translator, in any text


@pytest.fixture(scope="module")
def schemas(nodes):
    """By node id, as the frontend gets them from the server."""
    return {name: node.GET_NODE_INFO_V1() for name, node in nodes.items()}


def texts(language):
    return flat(json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text("utf-8")))


def flat(tree, path=""):
    """Texts by the dotted path that the frontend asks for."""
    if not isinstance(tree, dict):
        return {path[1:]: tree}
    return {key: text for name, branch in tree.items() for key, text in flat(branch, f"{path}.{name}").items()}


def own_texts(schemas):
    """What a node shows without any translation, by the path under which the frontend looks for one."""
    return flat({node: own_texts_of(info) for node, info in schemas.items()})


def own_texts_of(info):
    inputs = info["input"].get("required", {}) | info["input"].get("optional", {})
    outputs = zip(info["output"], info["output_name"], info["output_tooltips"], strict=True)
    return {
        "display_name": info["display_name"],
        "description": info["description"],
        "inputs": {
            name: {"name": options.get("display_name", name), "tooltip": options["tooltip"]}
            for name, (_, options) in inputs.items()
        },
        "outputs": {
            str(index): {**named(kind, name), "tooltip": tooltip} for index, (kind, name, tooltip) in enumerate(outputs)
        },
    }


def named(kind, name):
    """An output that is called like its type gets the frontend's own name of the type."""
    return {} if name == kind else {"name": name}


def wrong_keys(found, own):
    return [f"missing: {key}" for key in own.keys() - found] + [f"unknown: {key}" for key in found.keys() - own]


def wrong_texts(found):
    return [key for key, text in found.items() if not isinstance(text, str) or not text.strip() or SYNTAX & set(text)]


def not_chinese(found):
    """Texts without a Chinese character that are not listed as the same in both languages, or differ from the list."""
    return [key for key, text in found.items() if SAME_IN_CHINESE.get(key, text) != text or untranslated(key, text)]


def untranslated(key, text):
    return key not in SAME_IN_CHINESE and not CHINESE.search(text)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_text_of_every_node_is_there_and_no_other(schemas, language):
    assert len(schemas) == 4
    assert wrong_keys(texts(language), own_texts(schemas)) == []
    assert wrong_texts(texts(language)) == []


def test_english_changes_nothing(schemas):
    assert texts("en") == own_texts(schemas)


def test_chinese_is_chinese():
    assert not_chinese(texts("zh")) == []


def test_chinese_breaks_lines_where_english_does():
    english, chinese = ({key: text.count("\n") for key, text in texts(language).items()} for language in ("en", "zh"))
    assert chinese == english


def test_chinese_tooltips_name_every_choice_as_it_is_saved(schemas):
    """The frontend does not translate choices."""
    chinese = texts("zh")
    for node, info in schemas.items():
        for name, (_, options) in info["input"]["required"].items():
            tooltip = chinese[f"{node}.inputs.{name}.tooltip"]
            assert [choice for choice in options.get("options", ()) if f"{choice}\uff1a" not in tooltip] == []


def test_the_host_serves_both_languages(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "locales", tmp_path / "hicache" / "locales")
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "custom_nodes", ([str(tmp_path)], set()))
    served = CustomNodeManager().build_translations()
    assert {language: flat(of["nodeDefs"]) for language, of in served.items()} == {
        language: texts(language) for language in ("en", "zh")
    }


def test_the_checks_fire(schemas):
    own = own_texts(schemas)
    for key in ("HiCacheSettings.display_name", "HiCacheReport.inputs.scale.tooltip", "HiCacheCompare.outputs.1.name"):
        fewer = {other: text for other, text in own.items() if other != key}
        assert wrong_keys(fewer, own) == [f"missing: {key}"]
        assert wrong_keys(own, fewer) == [f"unknown: {key}"]
        for text in ("", " ", None, "a | b", "name@host"):
            assert wrong_texts(own | {key: text}) == [key]
    chinese = texts("zh")
    assert not_chinese(chinese | {"HiCacheReport.display_name": "HiCache Report"}) == ["HiCacheReport.display_name"]
    assert not_chinese(chinese | {"HiCacheReport.outputs.2.name": "数据"}) == ["HiCacheReport.outputs.2.name"]
    renamed = deepcopy(schemas)
    renamed["HiCachePatchModel"]["input"]["required"]["mode"][1]["tooltip"] = "Another text."
    assert [key for key, text in own_texts(renamed).items() if texts("en")[key] != text] == [
        "HiCachePatchModel.inputs.mode.tooltip"
    ]
