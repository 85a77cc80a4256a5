"""The comparison of two prompts tells every kind of difference."""

import pytest
from saved_graphs import differences, read_all, unknown_types

NODE = {"class_type": "KSampler", "inputs": {"seed": 1}, "_meta": {"title": "Sampler"}}


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        ({"1": NODE}, []),
        ({}, ["node missing: 1 KSampler"]),
        ({"1": NODE, "2": NODE}, ["node too many: 2 KSampler"]),
        ({"1": NODE | {"class_type": "Other"}}, ["class: 1 KSampler, ours Other"]),
        ({"1": NODE | {"_meta": {"title": "x"}}}, ["title: 1 KSampler: {'title': 'Sampler'}, ours {'title': 'x'}"]),
        ({"1": NODE | {"inputs": {}}}, ["input missing: 1 KSampler.seed = 1"]),
        ({"1": NODE | {"inputs": {"seed": 1, "cfg": 2}}}, ["input too many: 1 KSampler.cfg = 2"]),
        ({"1": NODE | {"inputs": {"seed": 3}}}, ["value: 1 KSampler.seed = 1, ours 3"]),
    ],
)
def test_each_difference_is_one_line(ours, expected):
    assert list(differences({"1": NODE}, ours)) == expected


def test_the_host_comes_with_hundreds_of_workflows():
    workflows = read_all()
    assert len(workflows) > 500
    assert unknown_types(workflows["01_get_started_text_to_image"], {}) >= {"KSampler", "SaveImage"}
