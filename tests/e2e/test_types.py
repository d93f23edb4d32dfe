"""moonpost types: definitions for lua-language-server."""

import json
import os
import re

from conftest import ROOT
from test_cli import DEPLOYS

META = os.path.join(ROOT, "lua", "meta")


def classes(text):
    """The fields of each class, by their names."""
    found, fields = {}, None
    for line in text.splitlines():
        if line.startswith("---@class "):
            fields = found.setdefault(line.split()[1].rstrip(":"), {})
        elif line.startswith("---@field ") and fields is not None:
            name, rest = line[len("---@field "):].split(" ", 1)
            fields[name] = rest
        elif not line.startswith("---"):
            fields = None
    return found


def test_a_folder_gets_a_file_a_module(moonpost, tmp_path):
    r = moonpost("types", "--out", "deep/types")
    assert r.status == 0, r
    written = sorted(os.listdir(tmp_path / "deep" / "types"))
    assert written == sorted(os.listdir(META))
    for name in written:
        text = (tmp_path / "deep" / "types" / name).read_text()
        assert text == open(os.path.join(META, name)).read()
        assert text.startswith("---@meta\n")
    assert f"{len(written)} files in deep/types" in r.out
    library = json.loads(re.search(r"^  (\{.*\})$", r.out, re.M)[1])["workspace.library"]
    assert library == [str(tmp_path / "deep" / "types")]


def test_payloads_are_those_of_the_catalogue(moonpost):
    r = moonpost("types")
    assert r.status == 0, r
    found = classes(r.out)
    assert found["moonpost.event.issue"]["data"] == "moonpost.issue.data"
    assert found["moonpost.issue.data"]["issue?"].startswith("moonpost.issue.data.issue")
    assert '"created"' in found["moonpost.event.issue"]["action"]
    assert '"fatal"' in found["moonpost.issue.data.issue"]["level?"]
    assert found["moonpost.issue.data.issue.metadata"]['["function"]?'] == "string"
    assert "on_issue = nil" in r.out and "---@type fun(event: moonpost.event.issue)\non_issue = nil" in r.out
    # Every class that a payload speaks of is there.
    for fields in found.values():
        for text in fields.values():
            for name in re.findall(r"moonpost\.[\w.]+", text):
                assert name in found, name


def test_a_document_of_ones_own_is_in_it(moonpost, tmp_path):
    (tmp_path / "deploys.yml").write_text(DEPLOYS)
    assert "on_deploy" not in moonpost("types").out
    r = moonpost("types", "--schema", "deploys.yml")
    assert r.status == 0 and "on_deploy = nil" in r.out, r
    assert "---@class moonpost.event.deploy" in r.out


def test_json_lists_the_files(moonpost, tmp_path):
    told = json.loads(moonpost("types", "--json").out)
    assert told["folder"] is None
    payloads = [f for f in told["files"] if f["name"] == "payloads.d.lua"][0]
    assert len(payloads["text"]) == payloads["bytes"]
    told = json.loads(moonpost("types", "--json", "--out", "t").out)
    assert told["folder"] == "t" and all("text" not in f for f in told["files"])
    assert sorted(f["name"] for f in told["files"]) == sorted(os.listdir(tmp_path / "t"))


def test_what_cannot_be_written_is_told(moonpost, tmp_path):
    (tmp_path / "file").write_text("")
    r = moonpost("types", "--out", "file/types")
    assert r.status == 3 and "file" in r.err and r.out == "", r


def test_what_is_written_is_lua(moonpost, tmp_path):
    assert moonpost("types", "--out", "t").status == 0
    for name in os.listdir(tmp_path / "t"):
        text = (tmp_path / "t" / name).read_text()
        # It compiles; running it would run into our modules, which are read-only.
        (tmp_path / "x.lua").write_text("do return end\n" + text)
        problems = json.loads(moonpost("check", "x.lua", "--json").out)["problems"]
        assert [p for p in problems if p["code"] == "load"] == [], name
