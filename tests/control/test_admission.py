"""Which resources are in force: whole or not at all, first owner first, last good version kept."""

from dataclasses import replace

from extproc.control.admission import NOTHING, Admission, Report, admit, waits
from extproc.core.matches import Match
from extproc.core.offers import Document, Offer
from extproc.core.resources import Candidate, Endpoint, Experiment, Kind, Mirror, Model, PassThrough, Resource, kind_of
from extproc.core.units import Layer, Stickiness, UnitSource
from extproc.errors import Problem

AT = (Endpoint("127.0.0.1", 8081),)


def model(name: str, *, version: int = 1) -> Model:
    return Model(name, version, AT)


def experiment(name: str, default: str = "", *, weight: int = 1) -> Experiment:
    return Experiment(name, (Candidate(default or "iris", weight), Candidate("iris2", 1)), default)


def valid(origin: str, *resources: Resource) -> Document:
    return Document(
        origin,
        tuple(Offer(origin, f"resources[{i}]", kind_of(r), r.name, r) for i, r in enumerate(resources)),
    )


def invalid(origin: str, name: str, kind: Kind = Kind.EXPERIMENT) -> Document:
    return Document(origin, (Offer(origin, "resources[0]", kind, name, None, (Problem("candidates", "is empty"),)),))


def both(*documents: Document) -> Document:
    return Document(documents[0].origin, tuple(o for d in documents for o in d.offers))


def running(admission: Admission) -> dict[str, Experiment]:
    return {e.name: e for e in admission.experiments}


def only(admission: Admission) -> Report:
    (report,) = admission.reports
    return report


def test_what_is_offered_is_in_force_and_what_is_offered_no_more_is_gone() -> None:
    first = admit(NOTHING, [valid("a", Model("iris", endpoints=AT), experiment("x", "iris"))])
    assert set(first.admitted) == {(Kind.MODEL, "iris"), (Kind.EXPERIMENT, "x")}
    assert first.reports == ()
    assert admit(first, [valid("a", Model("iris", endpoints=AT))]).admitted.keys() == {(Kind.MODEL, "iris")}
    assert not admit(first, []).admitted


def test_an_invalid_resource_keeps_its_last_good_version_and_disturbs_no_other() -> None:
    first = admit(NOTHING, [valid("a", experiment("x", "iris"), experiment("y", "wine"))])
    after = admit(first, [both(invalid("a", "x"), valid("a", experiment("y", "wine", weight=7)))])
    assert running(after)["x"] == experiment("x", "iris")
    assert running(after)["y"].candidates[0].weight == 7
    assert only(after).name == "x"
    assert only(after).kept
    assert "last good version" in str(only(after))


def test_an_invalid_resource_without_a_good_version_is_reported_and_not_in_force() -> None:
    after = admit(NOTHING, [both(invalid("a", "x"), valid("a", experiment("y", "wine")))])
    assert set(running(after)) == {"y"}
    assert not only(after).kept
    assert str(only(after)) == "a: Experiment x: candidates: is empty"


def test_a_file_that_cannot_be_read_keeps_all_it_had() -> None:
    first = admit(NOTHING, [valid("a", experiment("x", "iris")), valid("b", experiment("y", "wine"))])
    after = admit(first, [Document("a", (), (Problem("", "line 3: expected a comma"),)), valid("b")])
    assert set(running(after)) == {"x"}
    assert only(after).kept
    assert str(only(after)).startswith("a: line 3: expected a comma")


def test_a_file_that_cannot_be_read_holds_its_names_against_others() -> None:
    first = admit(NOTHING, [valid("b", experiment("x", "iris"))])
    broken = Document("b", (), (Problem("", "broken"),))
    after = admit(first, [valid("a", experiment("x", "iris", weight=9)), broken])
    assert running(after)["x"] == experiment("x", "iris")
    assert [r.origin for r in after.reports] == ["b", "a"]
    assert "defined in b already" in str(after.reports[1])


def test_a_resource_whose_name_cannot_be_read_keeps_what_its_file_had_of_that_kind() -> None:
    first = admit(NOTHING, [valid("a", Model("iris", endpoints=AT), experiment("x", "iris"))])
    after = admit(first, [invalid("a", "")])
    assert set(after.admitted) == {(Kind.EXPERIMENT, "x")}


def test_the_first_owner_of_a_name_keeps_it_whatever_the_order_of_the_files() -> None:
    first = admit(NOTHING, [valid("b", experiment("x", "iris"))])
    after = admit(first, [valid("a", experiment("x", "iris", weight=9)), valid("b", experiment("x", "iris"))])
    assert after.admitted[Kind.EXPERIMENT, "x"].origin == "b"
    assert only(after).origin == "a"
    assert "b already" in only(after).problems[0].message


def test_without_an_owner_the_first_document_wins() -> None:
    after = admit(NOTHING, [valid("a", experiment("x", "iris", weight=9)), valid("b", experiment("x", "iris"))])
    assert after.admitted[Kind.EXPERIMENT, "x"].origin == "a"
    assert only(after).origin == "b"


def test_one_name_twice_in_a_file_names_both_places() -> None:
    after = admit(NOTHING, [valid("a", experiment("x", "iris"), experiment("x", "iris", weight=9))])
    assert running(after)["x"].candidates[0].weight == 1
    assert "resources[0] and resources[1]" in only(after).problems[0].message


def test_a_model_and_an_experiment_may_share_a_name() -> None:
    after = admit(NOTHING, [valid("a", Model("iris", endpoints=AT), experiment("iris", "iris"))])
    assert after.reports == ()


def test_a_default_belongs_to_one_experiment_and_the_owner_is_named() -> None:
    after = admit(NOTHING, [valid("a", experiment("x", "iris"), experiment("y", "iris"))])
    assert set(running(after)) == {"x"}
    assert only(after).name == "y"
    assert "the default of experiment x already" in only(after).problems[0].message


def test_who_held_a_default_first_keeps_it_against_a_document_that_comes_earlier() -> None:
    first = admit(NOTHING, [valid("b", experiment("x", "iris"))])
    after = admit(first, [valid("a", experiment("y", "iris")), valid("b", experiment("x", "iris", weight=5))])
    assert set(running(after)) == {"x"}
    assert running(after)["x"].candidates[0].weight == 5


def test_an_experiment_that_reaches_for_a_taken_default_keeps_its_last_good_version() -> None:
    first = admit(NOTHING, [valid("a", experiment("x", "iris"), experiment("y", "wine"))])
    after = admit(first, [valid("a", experiment("x", "iris"), experiment("y", "iris"))])
    assert running(after)["y"].default == "wine"
    assert only(after).kept


def test_two_experiments_may_swap_their_defaults_in_one_change() -> None:
    first = admit(NOTHING, [valid("a", experiment("x", "iris"), experiment("y", "wine"))])
    after = admit(first, [valid("a", experiment("x", "wine"), experiment("y", "iris"))])
    assert after.reports == ()
    assert (running(after)["x"].default, running(after)["y"].default) == ("wine", "iris")


def test_who_fails_to_change_its_default_keeps_the_old_one_against_a_newcomer() -> None:
    first = admit(NOTHING, [valid("a", experiment("x", "iris"), experiment("y", "wine"))])
    newcomer = experiment("new", "iris")
    after = admit(first, [valid("0", newcomer), valid("a", experiment("x", "wine"), experiment("y", "wine"))])
    assert running(after) == {"x": experiment("x", "iris"), "y": experiment("y", "wine")}
    assert {(r.name, r.kept) for r in after.reports} == {("x", True), ("new", False)}


def test_a_default_that_several_reach_for_goes_to_the_first_and_each_other_keeps_its_own() -> None:
    first = admit(NOTHING, [valid("a", experiment("x", "iris"), experiment("y", "wine"), experiment("z"))])
    after = admit(
        first, [valid("a", experiment("x", "new"), experiment("y", "new"), experiment("z", "wine"), experiment("w"))]
    )
    assert {n: e.default for n, e in running(after).items()} == {"x": "new", "y": "wine", "z": "", "w": ""}
    assert {(r.name, r.kept) for r in after.reports} == {("y", True), ("z", True)}


def in_slots(name: str, default: str, first: int, last: int, layer: str = "ranking") -> Experiment:
    unit = Stickiness(UnitSource.HEADER, "x-user")
    return replace(experiment(name, default), stickiness=unit, layer=Layer(layer, first, last))


def test_slots_of_a_layer_belong_to_one_experiment_and_both_are_named() -> None:
    after = admit(NOTHING, [valid("a", in_slots("x", "iris", 0, 499), in_slots("y", "wine", 499, 999))])
    assert running(after).keys() == {"x"}
    (problem,) = only(after).problems
    assert (only(after).name, problem.path) == ("y", "layer")
    assert problem.message == (
        "slots 499 to 999 of layer 'ranking' overlap with those of experiment x (0 to 499): give y slots that are free"
    )


def test_slots_that_do_not_overlap_live_side_by_side() -> None:
    apart = [in_slots("x", "iris", 0, 499), in_slots("y", "wine", 500, 999), in_slots("z", "beer", 0, 999, "other")]
    assert running(admit(NOTHING, [valid("a", *apart)])).keys() == {"x", "y", "z"}


def test_who_held_its_slots_first_keeps_them_and_the_other_its_last_good_version() -> None:
    first = admit(NOTHING, [valid("a", in_slots("x", "iris", 0, 99)), valid("b", in_slots("y", "wine", 100, 199))])
    after = admit(first, [valid("a", in_slots("x", "iris", 0, 150)), valid("b", in_slots("y", "wine", 100, 199))])
    assert {n: (e.layer and e.layer.last_slot) for n, e in running(after).items()} == {"x": 99, "y": 199}
    assert (only(after).name, only(after).kept) == ("x", True)


def test_a_default_is_free_once_its_owner_is_gone() -> None:
    first = admit(NOTHING, [valid("a", experiment("x", "iris"), experiment("y", "iris"))])
    assert set(running(admit(first, [valid("a", experiment("y", "iris"))]))) == {"y"}


def test_a_cluster_must_not_bear_the_name_of_a_model_with_endpoints() -> None:
    cluster = PassThrough(Kind.CLUSTER, "iris", {"name": "iris"})
    after = admit(NOTHING, [valid("a", Model("iris", endpoints=AT), cluster)])
    assert set(after.admitted) == {(Kind.MODEL, "iris")}
    assert "choose another name" in only(after).problems[0].message
    assert admit(NOTHING, [valid("a", Model("iris", cluster="iris"), cluster)]).reports == ()


def test_a_cluster_that_was_there_first_is_not_lost_to_a_new_model() -> None:
    cluster = PassThrough(Kind.CLUSTER, "own", {"name": "own"})
    user = Model("iris", cluster="own")
    first = admit(NOTHING, [valid("a", cluster, user)])
    after = admit(first, [valid("a", cluster, user, model("own"))])
    assert set(after.admitted) == {(Kind.CLUSTER, "own"), (Kind.MODEL, "iris")}
    assert (only(after).kind, only(after).name) == (Kind.MODEL, "own")
    before = Model("own", cluster="own")
    kept = admit(admit(NOTHING, [valid("a", cluster, before)]), [valid("a", cluster, model("own"))])
    assert kept.admitted[Kind.MODEL, "own"].resource == before
    assert only(kept).kept
    again = admit(kept, [valid("a", cluster, model("own"))])
    assert again.admitted == kept.admitted


def test_envoys_own_resources_are_judged_by_those_who_know_them() -> None:
    cluster = PassThrough(Kind.CLUSTER, "c", {"name": "c", "typo": 1})
    after = admit(NOTHING, [valid("a", cluster)], lambda resource: [Problem("typo", f"unknown in {resource.name}")])
    assert not after.admitted
    assert only(after).problems == (Problem("typo", "unknown in c"),)


def test_what_is_not_defined_yet_is_a_warning_with_its_path() -> None:
    trial = Experiment("x", (Candidate("iris", 1), Candidate("iris2", 1)), "iris", Mirror("iris3", 1))
    admission = admit(NOTHING, [valid("a", trial, Model("iris", cluster="own", grpc_cluster="own-grpc"))])
    warnings = {report.name: [p.path for p in report.problems] for report in waits(admission)}
    assert warnings == {"x": ["candidates[1].name", "mirror.name"], "iris": ["cluster", "grpc_cluster"]}
    assert admission.reports == ()


def shop(name: str, default: str = "", match: str = "/shop", mirror: str = "") -> Experiment:
    """An experiment between clusters."""
    copied = Mirror("", 1, mirror) if mirror else None
    candidates = (Candidate("", 1, "v1"), Candidate("second", 1, "v2"))
    return Experiment(name, candidates, default, copied, match=Match.of({"prefix": match}))


def test_clusters_are_no_endpoints_that_two_could_want() -> None:
    resources = [replace(experiment("v1", "v1"), name="v"), shop("y", "v1"), experiment("x", "iris"), shop("z", "v1")]
    admission = admit(NOTHING, [valid("a", *resources)])
    assert admission.reports == ()
    assert running(admission).keys() == {"x", "y", "z", "v"}


def test_a_match_that_envoy_would_not_take_keeps_the_last_good_version() -> None:
    def judge(resource: PassThrough | Experiment) -> list[Problem]:
        bad = isinstance(resource, Experiment) and resource.match == Match.of({"prefix": "/bad"})
        return [Problem("match.prefix", "is bad")] if bad else []

    first = admit(NOTHING, [valid("a", shop("x"), shop("y"))], judge)
    after = admit(first, [valid("a", shop("x", match="/bad"), shop("y", match="/other"))], judge)
    assert running(after) == {"x": shop("x"), "y": shop("y", match="/other")}
    assert (only(after).name, only(after).kept, [p.path for p in only(after).problems]) == ("x", True, ["match.prefix"])


def test_clusters_that_are_not_defined_are_waited_for_by_their_own_names() -> None:
    v1 = PassThrough(Kind.CLUSTER, "v1", {"name": "v1"})
    admission = admit(NOTHING, [valid("a", shop("x", mirror="v3"), v1, model("second"), model("v3"))])
    (report,) = waits(admission)
    assert [(p.path, "Cluster resource" in p.message) for p in report.problems] == [
        ("candidates[1].cluster", True),
        ("mirror.cluster", True),
    ]
    assert "'v2'" in report.problems[0].message
