"""Label selectors: what is none, and which objects one selects."""

from __future__ import annotations

import pytest

from exporter.labels import accepts, read_selector


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ",",
        "a,",
        "app:web",
        "a=b=c",
        "a in",
        "a in b",
        "a in (b",
        "a>",
        "a>b",
        "!",
        "!a=b",
        "-a=b",
        "a=-b",
        "a b",
    ],
)
def test_what_is_no_selector(text: str) -> None:
    """What kubectl would not take is refused, with the way to write one."""
    with pytest.raises(ValueError, match="is no label selector; write it as for kubectl -l"):
        read_selector(text)


@pytest.mark.parametrize(
    ("text", "labels", "selected"),
    [
        ("app", {}, False),
        ("app=web", {}, False),
        ("app=web", {"app": "web2"}, False),
        ("app==web", {"App": "web"}, False),
        ("app!=web", {"app": "web"}, False),
        ("!app", {"app": ""}, False),
        ("app in (a, b)", {"app": "c"}, False),
        ("app in (a, b)", {}, False),
        ("app notin (a,b)", {"app": "a"}, False),
        ("app=a,tier=b", {"app": "a"}, False),
        ("n>3", {}, False),
        ("n>3", {"n": "3"}, False),
        ("n<3", {"n": "3"}, False),
        ("n>3", {"n": "many"}, False),
        ("app", {"app": ""}, True),
        ("app=", {"app": ""}, True),
        ("app=web", {"app": "web", "tier": "x"}, True),
        ("app!=web", {}, True),
        ("!app", {}, True),
        ("example.com/app in (a, b)", {"example.com/app": "b"}, True),
        ("app in (a,)", {"app": ""}, True),
        ("app notin (a,b)", {}, True),
        ("n>3", {"n": "4"}, True),
        ("n<-3", {"n": "-4"}, True),
        ("n<0", {"n": "-1"}, True),
        ("app in (a,b),tier!=x", {"app": "a", "tier": "y"}, True),
    ],
)
def test_what_is_selected(text: str, labels: dict[str, str], *, selected: bool) -> None:
    """All requirements have to be met; what is missing is unequal to everything and in no set."""
    assert selected == accepts(read_selector(text), labels)
