from kgents_cli.commands.doctor import stream_verdicts
from kgents_shared.bus import provision


def test_each_stream_that_differs_has_a_line_and_the_last_one_the_way_out() -> None:
    changes = tuple(provision.Change(f"field_{number}", 1, 2) for number in range(50))
    steps: list[provision.Step] = [
        provision.Unchanged("A"),
        provision.Create("B", {}),
        provision.Update("C", changes, {}),
        provision.Refuse("D", "it holds subjects of others"),
    ]
    verdicts = list(stream_verdicts(steps))
    assert [each.next_step for each in verdicts] == ["", "", "kgents provision"]
    assert verdicts[0].text == "stream B is missing"
    assert verdicts[1].text.startswith("stream C differs: field_0: 1 → 2, field_1")
    assert verdicts[2].text == "refuse D: it holds subjects of others"
    assert max(len(each.text) for each in verdicts) == 160
    assert not any(each.is_ok for each in verdicts)


def test_streams_that_are_all_there_or_all_missing_are_one_line() -> None:
    (there,) = stream_verdicts([provision.Unchanged("A"), provision.Unchanged("B")])
    assert (there.is_ok, there.text) == (True, "JetStream holds all 2 streams in their expected form")
    (missing,) = stream_verdicts([provision.Create("A", {}), provision.Create("B", {})])
    assert (missing.is_ok, missing.next_step) == (False, "kgents provision")
    assert missing.text == "none of the 2 streams of kgents exists yet"
