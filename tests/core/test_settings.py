from dataclasses import FrozenInstanceError, fields, replace

import pytest

from hicache_core import RANGES, Settings, SettingsError, parse_steps, presets


def test_defaults_are_valid_and_every_number_has_a_range():
    numbers = {f.name for f in fields(Settings) if not isinstance(getattr(Settings(), f.name), str | bool | tuple)}
    assert numbers == set(RANGES)


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("end", [0, 1])
def test_the_message_names_the_setting_the_value_and_the_range(name, end):
    value = RANGES[name][end] + (1 if end else -1)
    with pytest.raises(SettingsError) as caught:
        Settings(**{name: value})
    low, high = RANGES[name]
    assert f"{name} is {value}" in str(caught.value)
    assert f"from {low} to {high}" in str(caught.value)


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), "3", None, True])
def test_what_is_not_a_finite_number_is_refused(name, value):
    with pytest.raises(SettingsError, match=f"^{name} is "):
        Settings(**{name: value})


def test_whole_numbers_stay_whole():
    with pytest.raises(SettingsError, match=r"interval is 2\.5: it must be a whole number from 1 to 20"):
        Settings(interval=2.5)


def test_unknown_choices_list_the_known_ones():
    with pytest.raises(SettingsError, match="basis is 'fourier': choose one of hermite, taylor"):
        Settings(basis="fourier")
    with pytest.raises(SettingsError, match="schedule is 'never': choose one of budget"):
        Settings(schedule="never")
    with pytest.raises(SettingsError, match="cache_device is 'disk': choose one of auto, gpu, cpu"):
        Settings(cache_device="disk")


def test_start_must_not_follow_end():
    with pytest.raises(SettingsError, match=r"start_percent is 0\.6 and end_percent is 0\.4"):
        Settings(start_percent=0.6, end_percent=0.4)


def test_settings_are_frozen_and_replace_validates():
    with pytest.raises(FrozenInstanceError):
        Settings().speed = 3.0
    with pytest.raises(SettingsError):
        replace(Settings(), speed=0.0)


def test_corrector_is_a_boolean():
    with pytest.raises(SettingsError, match="corrector is 1: it must be True or False"):
        Settings(corrector=1)


@pytest.mark.parametrize(
    ("text", "steps"), [("", ()), ("0", (0,)), (" 8 - 10, 0,4,4, ", (0, 4, 8, 9, 10)), ("3-3", (3,))]
)
def test_steps_are_written_as_numbers_and_ranges(text, steps):
    assert parse_steps(text) == steps


@pytest.mark.parametrize("text", ["a", "1.5", "4-2", "-3", "1-", "1 2", "99999", "0-99999999999"])
def test_what_is_not_a_step_is_named(text):
    with pytest.raises(SettingsError, match=f"^steps has '{text}' in it: "):
        parse_steps(text)


@pytest.mark.parametrize("steps", [[1], (1.0,), (-1,), (True,), "1"])
def test_steps_are_a_tuple_of_whole_numbers(steps):
    with pytest.raises(SettingsError, match=r"^steps is "):
        Settings(steps=steps)


def test_listed_needs_a_list():
    with pytest.raises(SettingsError, match=r"^steps is empty"):
        Settings(schedule="listed")


def test_presets():
    assert presets.speed(2.5) == Settings(schedule="budget", speed=2.5)
    assert presets.adaptive(0.1) == Settings(schedule="adaptive", tolerance=0.1)


def test_equal_settings_have_one_fingerprint_and_others_another():
    assert Settings(speed=3, interval=3).fingerprint == Settings(speed=3.0, interval=3).fingerprint
    others = [{}, {"speed": 3.0}, {"corrector": False}, {"steps": (0, 1)}, {"level": "stack"}]
    assert len({Settings(**values).fingerprint for values in others}) == len(others)
