"""How numbers are written: the design guide's rules, the edges between them, and what must hold for any number."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from django import forms
from django.template import Context, Template
from django.templatetags.static import static
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from core import figures

NANOS = figures.NANOS


@pytest.mark.parametrize(
    ("value", "full", "short"),
    [
        (None, "—", "—"),
        (0, "0", "0"),
        (9_999, "9,999", "9,999"),
        (10_000, "10,000", "10.0K"),
        (45_230, "45,230", "45.2K"),
        (999_949, "999,949", "999.9K"),
        (999_950, "999,950", "1.0M"),
        (1_000_000, "1,000,000", "1.0M"),
        (797_169_012, "797,169,012", "797.2M"),
        (999_949_999, "999,949,999", "999.9M"),
        (999_950_000, "999,950,000", "1.00B"),
        (1_160_000_000, "1,160,000,000", "1.16B"),
        (1_500_000_000_000, "1,500,000,000,000", "1.50T"),
        (2 * 10**15, "2,000,000,000,000,000", "2,000.00T"),
        (-45_230, "−45,230", "−45.2K"),
        (Fraction(3, 2), "2", "2"),
        (Decimal("9999.5"), "10,000", "10.0K"),
    ],
)
def test_tokens(value, full, short):
    assert figures.tokens(value) == full
    assert figures.tokens_compact(value) == short


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (None, "—"),
        (0, "$0.00"),
        (1_547_940_000_000, "$1,547.94"),
        (10_000_000, "$0.01"),
        (9_999_999, "$0.01"),
        (9_949_999, "$0.0099"),
        (3_400_000, "$0.0034"),
        (100_000, "$0.0001"),
        (99_999, "<$0.0001"),
        (1, "<$0.0001"),
        (-1, ">−$0.0001"),
        (-3_200_000_000, "−$3.20"),
        (125_000_000, "$0.12"),  # half-even
        (135_000_000, "$0.14"),
    ],
)
def test_money(nanos, text):
    assert figures.money(nanos) == text
    if nanos is not None:
        assert figures.money(Decimal(nanos) / NANOS) == text


@pytest.mark.parametrize(
    ("nanos", "places", "text"),
    [
        (3_400_000, 4, "$0.0034"),
        (12 * NANOS, 4, "$12.0000"),
        (3_400_000, 2, "<$0.01"),
        (0, 4, "$0.0000"),
        (None, 4, "—"),
    ],
)
def test_a_column_has_one_number_of_decimals(nanos, places, text):
    assert figures.money(nanos, places) == text


def test_money_in_its_other_forms():
    assert figures.money_parts(1_547_940_000_000) == ("$1,547", ".94")
    assert figures.money_parts(3_400_000) == ("$0.0034", "")
    assert figures.money_parts(0) == ("$0", ".00")
    assert figures.money_parts(None) == ("—", "")
    assert figures.money_exact(45_342_500) == "$0.0453425"
    assert figures.money_exact(12 * NANOS) == "$12.00"
    assert figures.money_exact(1_500 * NANOS) == "$1,500.00"
    assert figures.money_exact(-1) == "−$0.000000001"
    assert figures.money_exact(0) == "$0.00"
    assert figures.money_whole(1_811_400_000_000) == "$1,811"
    assert figures.money_change(27_900_000_000) == "+$27.90"
    assert figures.money_change(-1_410_000_000) == "−$1.41"
    assert figures.money_change(0) == "$0.00"
    assert [form(None) for form in (figures.money_exact, figures.money_whole, figures.money_change)] == ["—"] * 3


@pytest.mark.parametrize("value", [1.5, 0.0, float("nan"), "1", True, Fraction(1, 2)])
def test_no_float_comes_near_money(value):
    with pytest.raises(TypeError):
        figures.money(value)


def test_money_is_finite():
    with pytest.raises(ValueError, match="finite"):
        figures.money(Decimal("NaN"))


@given(st.integers(-(10**24), 10**24))
def test_exact_money_reads_back_to_the_same_nanos(nanos):
    text = figures.money_exact(nanos).replace("$", "").replace(",", "").replace("−", "-")
    assert int(Decimal(text).scaleb(9)) == nanos


@given(st.integers(1, 10**18))
def test_money_that_is_not_zero_never_reads_zero(nanos):
    assert any(digit in "123456789" for digit in figures.money(nanos))
    assert any(digit in "123456789" for digit in figures.money(nanos, 2))


@given(st.integers(0, 10**15))
def test_rounded_money_is_within_half_a_step(nanos):
    text = figures.money(nanos).replace("$", "").replace(",", "")
    if not text.startswith("<"):
        step = Decimal(1).scaleb(Decimal(text).as_tuple().exponent)
        assert abs(Decimal(text) - Decimal(nanos).scaleb(-9)) <= step / 2


@given(st.integers(-(10**18), 10**18))
def test_full_tokens_read_back(value):
    assert int(figures.tokens(value).replace(",", "").replace("−", "-")) == value


@given(st.integers(0, 999_949_999_999_999))
def test_compact_tokens_are_short_and_close(value):
    digits, unit = figures.compact_parts(value)
    size = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}[unit]
    assert len(digits) <= 6
    assert abs(Decimal(digits.replace(",", "")) * size - value) <= Decimal(size) / 20


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (None, "—"),
        (0, "0%"),
        (Fraction(1, 10_000), "<0.1%"),
        (0.001, "0.1%"),
        (0.342, "34.2%"),
        (Fraction(9_994, 10_000), "99.9%"),
        (Fraction(9_999, 10_000), ">99.9%"),
        (1, "100.0%"),
        (Decimal("1.16"), "116.0%"),
        (Fraction(-1, 5), "−20.0%"),
        (Fraction(-1, 10_000), ">−0.1%"),
        (25, "2,500.0%"),
    ],
)
def test_percent(ratio, text):
    assert figures.percent(ratio) == text


@given(st.integers(1, 10**12), st.integers(1, 10**12))
def test_only_nothing_reads_0_percent_and_only_all_reads_100(part, rest):
    text = figures.percent(figures.share(part, part + rest))
    assert text not in ("0%", "0.0%", "100.0%")


def test_share():
    assert figures.share(1, 3) == Fraction(1, 3)
    assert figures.share(None, 3) is None
    assert figures.share(1, None) is None
    assert figures.share(0, 0) is None


@pytest.mark.parametrize(
    ("now", "before", "direction", "text"),
    [
        (797, 683, "up", "16.7%"),
        (958, 1000, "down", "4.2%"),
        (1582, 1582, "flat", "0.0%"),
        (0, 0, "flat", "0.0%"),
        (5, 0, "new", "new"),
        (0, 5, "down", "100.0%"),
        (1, 1_000_000, "down", "100.0%"),
        (10_001, 10_000, "up", "<0.1%"),
        (0, -5, "up", "100.0%"),
        (None, 5, "unknown", "—"),
        (5, None, "unknown", "—"),
        (0.5, 0.25, "up", "100.0%"),
    ],
)
def test_delta(now, before, direction, text):
    assert figures.delta(now, before) == figures.Delta(direction, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (0, "0 ms"),
        (340, "340 ms"),
        (999, "999 ms"),
        (1_000, "1.0 s"),
        (2_400, "2.4 s"),
        (9_949, "9.9 s"),
        (9_950, "10 s"),
        (59_499, "59 s"),
        (59_600, "1 min"),
        (200_000, "3 min 20 s"),
        (3_599_600, "1 h"),
        (7_500_000, "2 h 5 min"),
        (86_399_000, "1 d"),
        (timedelta(days=3, hours=4), "3 d 4 h"),
        (timedelta(microseconds=600), "1 ms"),
        (-340, "−340 ms"),
    ],
)
def test_duration(value, text):
    assert figures.duration(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "just now"), (-3, "just now"), (2, "2 s ago"), (119, "1 min ago"), (7_300, "2 h ago"), (200_000, "2 d ago")],
)
def test_ago(seconds, text):
    assert figures.ago(timedelta(seconds=seconds)) == text


def test_ago_of_nothing():
    assert figures.ago(None) == "—"


# ── In templates ──


def render(source: str, **context: object) -> str:
    return Template("{% load figures icons charts %}" + source).render(Context(context))


def test_filters():
    assert render("{{ n|tokens }}", n=45_230) == "45,230"
    assert render("{{ n|count }}", n=None) == "—"
    assert render("{{ n|tokens_compact }}", n=45_230) == '45.2<span class="tl-minor">K</span>'
    assert render("{{ n|tokens_compact }}", n=42) == "42"
    assert render("{{ n|tokens_short }}", n=45_230) == "45.2K"
    assert render("{{ n|money }} {{ n|money:4 }}", n=NANOS) == "$1.00 $1.0000"
    assert render("{{ n|money }}", n=1) == "&lt;$0.0001"
    assert render("{{ n|money_major_minor }}", n=NANOS) == '$1<span class="tl-minor">.00</span>'
    assert render("{{ n|money_exact }} {{ n|money_whole }} {{ n|money_change }}", n=NANOS) == "$1.00 $1 +$1.00"
    assert render("{{ r|percent }} {{ r|percent:2 }}", r=Fraction(1, 3)) == "33.3% 33.33%"
    assert render("{{ d|duration }}", d=timedelta(seconds=2)) == "2.0 s"
    assert render("{{ n|figure:'tokens' }} {{ n|figure_text:'count' }}", n=10_000) == (
        '10.0<span class="tl-minor">K</span> 10,000'
    )


def test_ago_names_the_exact_time():
    assert render("{{ moment|ago }}", moment=None) == "—"
    moment = timezone.now() - timedelta(minutes=3)
    written = render("{{ moment|ago }}", moment=moment)
    assert f'datetime="{moment.isoformat()}"' in written
    assert ">3 min ago</time>" in written
    assert "2020" in render("{{ moment|ago }}", moment=datetime(2020, 1, 2, tzinfo=UTC))


def test_delta_is_colored_only_when_it_has_a_target():
    up = render("{% delta 110 100 %}")
    assert "arrow-up-right" in up
    assert '<span class="visually-hidden">up </span>10.0%' in up
    assert "is-good" not in up + render("{% delta 100 100 'higher' %}")
    assert "is-good" in render("{% delta 110 100 'higher' %}")
    assert "is-bad" in render("{% delta 110 100 'lower' %}")
    assert render("{% delta now 100 %}", now=None) == '<span class="tl-delta">—</span>'
    assert render("{% delta 5 0 %}") == '<span class="tl-delta">new</span>'


def test_icons_are_silent_unless_they_replace_a_word():
    assert render("{% icon 'bell' %}") == (
        f'<svg class="tl-icon" aria-hidden="true"><use href="{static("icons.svg")}#bell"/></svg>'
    )
    assert 'role="img" aria-label="Open &lt;3"' in render("{% icon 'bell' label=label %}", label="Open <3")


def test_small_charts_use_attributes_only():
    drawn = "".join(
        [
            render("{% sparkbars values slots=4 off=pale %}", values=[1, None, 4], pale=[0]),
            render("{% sparkline values %}", values=[1, None, 4, 2]),
            render("{% rulebar share %}{% sharebar share %}", share=Fraction(1, 3)),
            render("{% splitbar parts 'Two to one' %}", parts=[("input", 2), ("output", 1), ("tool", 0)]),
            render("{% meter 0.7 'Used' pace=0.5 forecast=1.16 status='warning' marks=True %}"),
        ]
    )
    assert "style" not in drawn
    assert 'height="28.00"' in drawn
    assert "M0.0 21.0M66.7 0.0L100.0 14.0" in drawn
    assert 'width="33.333%"' in drawn
    assert 'x="66.667%" width="33.333%"' in drawn


@pytest.mark.parametrize("values", [[], [0], [None, None]])
def test_small_charts_of_nothing(values):
    assert "NaN" not in render("{% sparkbars values %}{% sparkline values %}", values=values)


def test_meter_makes_room_only_when_the_limit_is_passed():
    assert "m-over" not in render("{% meter 0.5 'Used' %}")
    assert "m-limit" in render("{% meter 1.08 'Used' %}")
    assert render("{% meter nothing 'Used' %}", nothing=None).count('width="0%"') == 1
    assert 'x1="100%"' in render("{% meter 0.5 'Used' forecast=4 %}")


def test_json_block_cannot_be_closed_by_its_data():
    block = render("{% json_block 'spend' data %}", data={"label": "</script><script>alert(1)"})
    assert block.startswith('<script id="spend" type="application/json">')
    assert block.count("</script>") == 1


def test_a_slot_names_its_class():
    slots = [1, 10, "other", "unpriced", "total", "kind-output"]
    assert render("{% for s in slots %}{{ s|slot_class }} {% endfor %}", slots=slots).split() == [
        "tl-s1", "tl-s10", "tl-so", "tl-su", "tl-st", "tl-k-output",
    ]  # fmt: skip


def test_coverage_says_what_it_draws():
    coverage = {"priced_share": Fraction(3, 4), "free_share": Fraction(0), "unpriced_share": Fraction(1, 4)}
    drawn = render("{% coverage_bar coverage %}", coverage=coverage)
    assert 'aria-label="75.0% priced, 25.0% unpriced"' in drawn
    assert "tl-k-free" not in drawn
    assert "Nothing to price" in render("{% coverage_bar coverage %}", coverage={})


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("curl/8.5", "curl"),
        ("", "Unknown browser"),
    ],
)  # fmt: skip
def test_a_browser_has_a_short_name(user_agent, name):
    assert render("{% load agents %}{{ agent|browser_name }}", agent=user_agent) == name


class Budget(forms.Form):
    name = forms.CharField(help_text="Shown in alerts", widget=forms.TextInput(attrs={"placeholder": "Support"}))
    at_limit = forms.ChoiceField(choices=[("warn", "Warn only"), ("refuse", "Refuse calls")])
    scope = forms.ChoiceField(choices=[("team", "Team"), ("key", "Key")], widget=forms.RadioSelect, initial="key")
    tell_finance = forms.BooleanField(required=False)
    note = forms.CharField(required=False)
    token = forms.CharField(widget=forms.HiddenInput)


def test_a_field_ties_its_words_to_its_control():
    written = render("{% load forms %}{% for f in form %}{% field f %}{% endfor %}", form=Budget())
    assert 'for="id_name">Name</label>' in written
    assert 'aria-describedby="id_name_helptext"' in written
    assert 'id="id_name_helptext">Shown in alerts<' in written
    assert 'class="form-select"' in written
    assert "(optional)" in written
    assert written.count('type="radio"') == 2
    assert 'value="key"' in written
    assert written.count("checked") == 1
    assert '<input type="hidden" name="token"' in written


def test_a_field_shows_its_errors():
    written = render("{% load forms %}{% field form.name placeholder='' %}", form=Budget({}))
    assert 'class="form-control is-invalid"' in written
    assert 'aria-invalid="true"' in written
    assert 'id="id_name_error"' in written
    assert "Support" not in written
